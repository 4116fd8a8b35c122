//! Conditions on what a network does, such as `rate(pool.out_spikes, 50) > 20 and step > 1000`.

use std::fmt;

/// A number, or a truth as 1 and 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Number(f64),
    /// Steps done.
    Step,
    /// Time in ms.
    Time,
    /// The value of a tag; NaN, which no comparison holds for, as long as it has none.
    Tag(String),
    /// Something that is looked at, by its place in [`Condition::quantities`].
    Quantity(usize),
    Not(Box<Self>),
    Negative(Box<Self>),
    Both(Operation, Box<[Self; 2]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Or,
    And,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Unequal,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What is made of the units of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Mean,
    Min,
    Max,
    Std,
    Sum,
    /// Fraction of the units that are not zero.
    Active,
    /// Spikes per unit and second.
    Rate,
    /// The value of one unit.
    Unit(usize),
}

/// A number that is taken from a network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    pub function: Function,
    pub address: String,
    /// The number of steps that it is averaged over.
    pub steps: usize,
}

/// A condition with what it looks at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    pub expression: Expression,
    pub quantities: Vec<Quantity>,
}

/// Text that is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: found {found}, expected {expected}")]
pub(super) struct ParseError {
    at: usize,
    found: String,
    expected: String,
}

/// What a condition is evaluated against.
pub(super) struct Now<'a> {
    pub step: u64,
    pub time: f64,
    pub tag: &'a dyn Fn(&str) -> Option<f64>,
    pub quantities: &'a [f64],
}

impl Expression {
    pub fn value(&self, now: &Now<'_>) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Step => now.step as f64,
            Self::Time => now.time,
            Self::Tag(name) => (now.tag)(name).unwrap_or(f64::NAN),
            Self::Quantity(place) => now.quantities[*place],
            Self::Not(inner) => truth(inner.value(now) == 0.0),
            Self::Negative(inner) => -inner.value(now),
            Self::Both(Operation::And, sides) => {
                truth(sides[0].value(now) != 0.0 && sides[1].value(now) != 0.0)
            }
            Self::Both(Operation::Or, sides) => {
                truth(sides[0].value(now) != 0.0 || sides[1].value(now) != 0.0)
            }
            Self::Both(operation, sides) => operation.of(sides[0].value(now), sides[1].value(now)),
        }
    }
}

impl Operation {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Or => truth(a != 0.0 || b != 0.0),
            Self::And => truth(a != 0.0 && b != 0.0),
            Self::Less => truth(a < b),
            Self::AtMost => truth(a <= b),
            Self::Greater => truth(a > b),
            Self::AtLeast => truth(a >= b),
            Self::Equal => truth(a == b),
            Self::Unequal => truth(a != b),
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Remainder => a.rem_euclid(b),
        }
    }
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

impl Condition {
    /// Reads a condition: numbers, `step`, `time`, `tag(NAME)`, `FUNCTION(ADDRESS)` or `FUNCTION(ADDRESS, STEPS)`
    /// with mean, min, max, std, sum, active and rate, `ADDRESS[UNIT]`, `+ - * / %`, comparisons, `and`, `or`,
    /// `not` and parentheses.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let tokens = tokens(text)?;
        let mut parser =
            Parser { tokens, at: 0, end: text.chars().count(), depth: 0, quantities: Vec::new() };
        let expression = parser.level(0)?;
        match parser.peek() {
            None => Ok(Self { expression, quantities: parser.quantities }),
            Some(_) => Err(parser.wrong("an operator or the end")),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    /// A name or an address.
    Name(String),
    Sign(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "`{number}`"),
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Sign(sign) => write!(f, "`{sign}`"),
        }
    }
}

/// Signs, the longer ones first.
const SIGNS: [&str; 17] =
    ["<=", ">=", "==", "!=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",", "["];

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ParseError> {
    let letters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(letter) = letters.get(at) {
        let start = at;
        let rest: String = letters[at..].iter().take(2).collect();
        if letter.is_whitespace() {
            at += 1;
        } else if letter.is_ascii_digit() {
            let length = number_length(&letters[at..]);
            let number: String = letters[at..at + length].iter().collect();
            let value = number.parse().map_err(|_| ParseError {
                at: start + 1,
                found: format!("`{number}`"),
                expected: "a number".to_owned(),
            })?;
            tokens.push((start, Token::Number(value)));
            at += length;
        } else if letter.is_alphabetic() || *letter == '_' {
            let is_part = |letter: &&char| letter.is_alphanumeric() || matches!(letter, '_' | '.');
            let name: String = letters[at..].iter().take_while(is_part).collect();
            at += name.chars().count();
            tokens.push((start, Token::Name(name)));
        } else if let Some(sign) = SIGNS.iter().chain(&["]"]).find(|sign| rest.starts_with(**sign)) {
            tokens.push((start, Token::Sign(sign)));
            at += sign.len();
        } else {
            let expected = "a number, a name or an operator".to_owned();
            return Err(ParseError { at: start + 1, found: format!("`{letter}`"), expected });
        }
    }
    Ok(tokens)
}

/// Letters of a number such as `12`, `0.5` or `1e-3`.
fn number_length(letters: &[char]) -> usize {
    let mut length = 0;
    while let Some(letter) = letters.get(length) {
        let exponent = matches!(letter, '+' | '-') && matches!(letters[length - 1], 'e' | 'E');
        if !(letter.is_ascii_digit() || matches!(letter, '.' | 'e' | 'E') || exponent) {
            break;
        }
        length += 1;
    }
    length
}

/// Operators from the loosest to the tightest.
const LEVELS: [&[(&str, Operation)]; 5] = [
    &[("or", Operation::Or), ("||", Operation::Or)],
    &[("and", Operation::And), ("&&", Operation::And)],
    &[
        ("<=", Operation::AtMost),
        (">=", Operation::AtLeast),
        ("==", Operation::Equal),
        ("!=", Operation::Unequal),
        ("<", Operation::Less),
        (">", Operation::Greater),
    ],
    &[("+", Operation::Add), ("-", Operation::Subtract)],
    &[("*", Operation::Multiply), ("/", Operation::Divide), ("%", Operation::Remainder)],
];

/// Parentheses within one another, so that no text takes the stack away.
const DEEPEST: usize = 64;

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
    depth: usize,
    quantities: Vec<Quantity>,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn take(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).map(|(_, token)| token.clone())
    }

    fn wrong(&self, expected: &str) -> ParseError {
        let at = self.tokens.get(self.at).map_or(self.end, |(at, _)| *at) + 1;
        let found = self.peek().map_or_else(|| "the end".to_owned(), Token::to_string);
        ParseError { at, found, expected: expected.to_owned() }
    }

    fn is_next(&mut self, sign: &str) -> bool {
        let next = match self.peek() {
            Some(Token::Sign(found)) => *found == sign,
            Some(Token::Name(found)) => found == sign,
            _ => false,
        };
        self.at += usize::from(next);
        next
    }

    fn expect(&mut self, sign: &str) -> Result<(), ParseError> {
        if self.is_next(sign) { Ok(()) } else { Err(self.wrong(&format!("`{sign}`"))) }
    }

    /// Operators of a level and of those that bind tighter.
    fn level(&mut self, level: usize) -> Result<Expression, ParseError> {
        let Some(operators) = LEVELS.get(level) else { return self.single() };
        let mut left = self.level(level + 1)?;
        while let Some((_, operation)) = operators.iter().find(|(sign, _)| self.is_next(sign)) {
            let right = self.level(level + 1)?;
            left = Expression::Both(*operation, Box::new([left, right]));
        }
        Ok(left)
    }

    fn single(&mut self) -> Result<Expression, ParseError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("fewer parentheses within one another"));
        }
        let found = self.unnested();
        self.depth -= 1;
        found
    }

    fn unnested(&mut self) -> Result<Expression, ParseError> {
        if self.is_next("(") {
            let inner = self.level(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.is_next("not") {
            // Binds looser than comparisons: `not a > b`.
            return Ok(Expression::Not(Box::new(self.level(2)?)));
        }
        if self.is_next("-") {
            return Ok(Expression::Negative(Box::new(self.single()?)));
        }
        match self.peek() {
            Some(Token::Number(number)) => {
                let number = *number;
                self.at += 1;
                Ok(Expression::Number(number))
            }
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                self.named(name)
            }
            _ => {
                Err(self
                    .wrong("a number, `step`, `time`, `tag(NAME)`, `FUNCTION(ADDRESS)` or `ADDRESS[UNIT]`"))
            }
        }
    }

    fn named(&mut self, name: String) -> Result<Expression, ParseError> {
        if self.is_next("[") {
            let unit = self.whole("a unit, from 0")?;
            self.expect("]")?;
            return Ok(self.quantity(Function::Unit(unit), name, 1));
        }
        let function = match name.as_str() {
            "step" => return Ok(Expression::Step),
            "time" => return Ok(Expression::Time),
            "tag" => {
                self.expect("(")?;
                let tag = self.name("the name of a tag")?;
                self.expect(")")?;
                return Ok(Expression::Tag(tag));
            }
            "mean" => Function::Mean,
            "min" => Function::Min,
            "max" => Function::Max,
            "std" => Function::Std,
            "sum" => Function::Sum,
            "active" => Function::Active,
            "rate" => Function::Rate,
            _ => {
                self.at -= 1;
                return Err(self.wrong("step, time, tag, mean, min, max, std, sum, active or rate"));
            }
        };
        self.expect("(")?;
        let address = self.name("an address, such as pool.soma.potential")?;
        let steps = if self.is_next(",") { self.whole("a number of steps")?.max(1) } else { 1 };
        self.expect(")")?;
        Ok(self.quantity(function, address, steps))
    }

    fn quantity(&mut self, function: Function, address: String, steps: usize) -> Expression {
        let quantity = Quantity { function, address, steps };
        let known = self.quantities.iter().position(|known| *known == quantity);
        Expression::Quantity(known.unwrap_or_else(|| {
            self.quantities.push(quantity);
            self.quantities.len() - 1
        }))
    }

    fn name(&mut self, expected: &str) -> Result<String, ParseError> {
        match self.take() {
            Some(Token::Name(name)) => Ok(name),
            _ => {
                self.at -= 1;
                Err(self.wrong(expected))
            }
        }
    }

    /// A whole number of no absurd size.
    fn whole(&mut self, expected: &str) -> Result<usize, ParseError> {
        match self.take() {
            Some(Token::Number(number)) if number.fract() == 0.0 && number < 1e9 => Ok(number as usize),
            _ => {
                self.at -= 1;
                Err(self.wrong(expected))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> f64 {
        let condition = Condition::parse(text).unwrap();
        let tag = |name: &str| (name == "episode").then_some(3.0);
        condition.expression.value(&Now { step: 7, time: 3.5, tag: &tag, quantities: &[10.0, 2.0] })
    }

    #[test]
    fn operators_bind_as_people_expect() {
        assert_eq!(value("1 + 2 * 3 - 4 / 2"), 5.0);
        assert_eq!(value("(1 + 2) * 3"), 9.0);
        assert_eq!(value("-2 * -3"), 6.0);
        assert_eq!(value("step % 4 == 3 and time > 3"), 1.0);
        assert_eq!(value("not step > 5 or tag(episode) == 3"), 1.0);
        assert_eq!(value("not (step > 5)"), 0.0);
        assert_eq!(value("1e-3 < 0.01 && 1 != 2"), 1.0);
        assert_eq!(value("tag(unknown) > 0 or tag(unknown) <= 0"), 0.0);
    }

    #[test]
    fn quantities_are_looked_at_once() {
        let text =
            "mean(pool.soma.potential) > 5 and pool.soma.potential[3]>1 and mean(pool.soma.potential) < 11";
        let condition = Condition::parse(text).unwrap();
        let address = || "pool.soma.potential".to_owned();
        let mean = Quantity { function: Function::Mean, address: address(), steps: 1 };
        let unit = Quantity { function: Function::Unit(3), address: address(), steps: 1 };
        assert_eq!(condition.quantities, [mean, unit]);
        assert_eq!(value(text), 1.0);
        let averaged = Condition::parse("rate(out, 50) > 20").unwrap();
        assert_eq!(averaged.quantities[0].steps, 50);
    }

    #[test]
    fn errors_say_where_and_what() {
        let error = |text: &str| Condition::parse(text).unwrap_err().to_string();
        assert_eq!(
            error("1 +"),
            "at character 4: found the end, expected a number, `step`, `time`, `tag(NAME)`, `FUNCTION(ADDRESS)` or `ADDRESS[UNIT]`"
        );
        assert!(error("maen(pool)").contains("at character 1: found `maen`"), "{}", error("maen(pool)"));
        assert!(error("rate(pool) 3").contains("found `3`, expected an operator"));
        assert!(error("rate(pool, 0.5) > 1").contains("a number of steps"));
        assert!(error("1 ? 2").contains("found `?`"));
        assert!(error(&"(".repeat(100_000)).contains("fewer parentheses"));
        assert!(Condition::parse(&"-".repeat(100_000)).is_err() && Condition::parse("1.2.3").is_err());
    }
}
