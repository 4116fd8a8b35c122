//! Pickles, as far as tables of tensors need them: data goes onto a stack, and nothing is ever called.
//!
//! Source: Python's `pickletools`, protocols 2 to 5. A pickle may name functions and have them called; here a
//! name is either one of [`Global`], whose effect is known and built in, or an error.

use std::collections::BTreeMap;

use super::tensor::{Dtype, Storage, View};
use crate::cursor::Cursor;

/// The place of a value among all values of a pickle.
///
/// Values lie side by side and name each other by number: there is no nesting that could exhaust the stack.
pub(super) type Id = u32;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// `None`, a flag, a number with a fraction, an opaque object: nothing that a tensor is made of.
    Other,
    Int(i64),
    Text(&'a str),
    Global(Global),
    Tuple(Box<[Id]>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Storage(Storage<'a>),
    Tensor(Box<View<'a>>),
}

/// A name that a table of tensors may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    Storage(Dtype),
}

impl Global {
    fn of(module: &str, name: &str) -> Result<Self, String> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "Size") => Self::Size,
            ("torch", "FloatStorage") => Self::Storage(Dtype::F32),
            ("torch", "DoubleStorage") => Self::Storage(Dtype::F64),
            ("torch", "HalfStorage") => Self::Storage(Dtype::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Dtype::BF16),
            ("torch", "LongStorage") => Self::Storage(Dtype::I64),
            ("torch", "IntStorage") => Self::Storage(Dtype::I32),
            ("torch", "ShortStorage") => Self::Storage(Dtype::I16),
            ("torch", "CharStorage") => Self::Storage(Dtype::I8),
            ("torch", "ByteStorage") => Self::Storage(Dtype::U8),
            ("torch", "BoolStorage") => Self::Storage(Dtype::Bool),
            _ => {
                let name: String = format!("{module}.{name}").chars().take(100).collect();
                return Err(format!(
                    "found `{name}`, which a state_dict does not need; nothing was run. Expected the result of \
                     `torch.save(model.state_dict(), …)`"
                ));
            }
        })
    }
}

/// How much memory a reader may still take, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(pub(super) usize);

impl Budget {
    /// Takes `bytes`.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), String> {
        self.0 = self.0.checked_sub(bytes).ok_or("it would unpack to more than twice its size")?;
        Ok(())
    }
}

/// What a value, an entry of a list and a remembered value take, three times over: a vector that grows holds
/// what it had and twice that.
const VALUE: usize = 3 * size_of::<Value>();
const ENTRY: usize = 3 * size_of::<usize>();
const MEMO: usize = 32;

/// A pickle that was read: its values and which of them is the outermost.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle; `storage` finds the bytes of a storage by its key.
    pub(super) fn parse(
        bytes: &'a [u8],
        storage: &dyn Fn(&str) -> Result<&'a [u8], String>,
        budget: &mut Budget,
    ) -> Result<Self, String> {
        let mut machine = Machine {
            cursor: Cursor::new(bytes, 0),
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
            small: [None; 256],
            storage,
            budget,
        };
        loop {
            let at = machine.cursor.at();
            match machine.step() {
                Ok(None) => {}
                Ok(Some(root)) => return Ok(Self { values: machine.values, root }),
                Err(message) => return Err(format!("byte {at} of its pickle: {message}")),
            }
        }
    }

    /// The outermost value.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// The value of a number.
    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }
}

struct Machine<'a, 'b> {
    cursor: Cursor<'a>,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
    /// The whole numbers below 256, which shapes are full of.
    small: [Option<Id>; 256],
    storage: &'b dyn Fn(&str) -> Result<&'a [u8], String>,
    budget: &'b mut Budget,
}

impl<'a> Machine<'a, '_> {
    /// One instruction; the outermost value after the last.
    fn step(&mut self) -> Result<Option<Id>, String> {
        let code = self.cursor.u8("an instruction")?;
        match code {
            0x80 => self.protocol()?,
            0x95 => drop(self.cursor.take(8, "a frame")?),
            b'.' => return self.pop().map(Some),
            b'(' => {
                self.budget.take(ENTRY)?;
                self.marks.push(self.stack.len());
            }
            b'0' => drop(self.pop()?),
            b'N' | 0x88 | 0x89 => self.push(Value::Other)?,
            b'G' => {
                self.cursor.take(8, "a number")?;
                self.push(Value::Other)?;
            }
            b'J' | b'K' | b'M' | 0x8a => self.integer(code)?,
            b'X' | 0x8c | 0x8d | b'T' | b'U' => self.text(code)?,
            b'c' | 0x93 => self.global(code)?,
            b')' | b't' | 0x85..=0x87 => self.tuple(code)?,
            b']' => self.push(Value::List(Vec::new()))?,
            b'}' => self.push(Value::Dict(Vec::new()))?,
            b'l' | b'd' | b'a' | b'e' | b's' | b'u' => self.collection(code)?,
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(code)?,
            b'Q' => self.persistent()?,
            b'R' => self.reduce()?,
            // State of an object, such as `_metadata` of a state_dict: of no use here.
            b'b' => drop(self.pop()?),
            _ => {
                return Err(format!(
                    "found the instruction {code:#04x}, which a state_dict does not need; nothing was run"
                ));
            }
        }
        Ok(None)
    }

    fn protocol(&mut self) -> Result<(), String> {
        match self.cursor.u8("a protocol")? {
            2..=5 => Ok(()),
            other => Err(format!("found protocol {other}, expected 2 to 5")),
        }
    }

    fn integer(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b'J' => i64::from(self.cursor.u32("a number")? as i32),
            b'K' => i64::from(self.cursor.u8("a number")?),
            b'M' => i64::from(self.cursor.u16("a number")?),
            _ => {
                let length = usize::from(self.cursor.u8("a number")?);
                let bytes = self.cursor.take(length, "a number")?;
                if length > 8 {
                    return self.push(Value::Other);
                }
                let negative = bytes.last().is_some_and(|&byte| byte > 127);
                let mut wide = [if negative { 0xff } else { 0 }; 8];
                wide[..length].copy_from_slice(bytes);
                i64::from_le_bytes(wide)
            }
        };
        let Ok(index) = u8::try_from(value) else { return self.push(Value::Int(value)) };
        match self.small[usize::from(index)] {
            Some(id) => self.push_id(id),
            None => {
                self.push(Value::Int(value))?;
                self.small[usize::from(index)] = self.stack.last().copied();
                Ok(())
            }
        }
    }

    fn text(&mut self, code: u8) -> Result<(), String> {
        let length = match code {
            b'U' | 0x8c => usize::from(self.cursor.u8("a length")?),
            0x8d => usize::try_from(u64::from_le_bytes(self.cursor.array("a length")?)).unwrap_or(usize::MAX),
            _ => self.cursor.length("a length")?,
        };
        let bytes = self.cursor.take(length, "a text")?;
        let text = str::from_utf8(bytes).map_err(|_| "found a text that is not UTF-8".to_owned())?;
        self.push(Value::Text(text))
    }

    fn global(&mut self, code: u8) -> Result<(), String> {
        let global = if code == b'c' {
            let (module, name) = (self.line()?, self.line()?);
            Global::of(module, name)?
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (self.value(module), self.value(name)) {
                (Value::Text(module), Value::Text(name)) => Global::of(module, name)?,
                _ => return Err("found a name that is no text".to_owned()),
            }
        };
        self.push(Value::Global(global))
    }

    /// The text up to the end of the line.
    fn line(&mut self) -> Result<&'a str, String> {
        let length = self.cursor.rest().iter().position(|&byte| byte == b'\n');
        let line = self.cursor.take(length.ok_or("found a name without an end")? + 1, "a name")?;
        str::from_utf8(&line[..line.len() - 1]).map_err(|_| "found a name that is not UTF-8".to_owned())
    }

    fn tuple(&mut self, code: u8) -> Result<(), String> {
        let start = match code {
            b')' => Some(self.stack.len()),
            b't' => Some(self.mark()?),
            _ => self.stack.len().checked_sub(usize::from(code - 0x84)),
        };
        let items = self.above(start.ok_or("found too few values")?)?;
        self.push(Value::Tuple(items.into_boxed_slice()))
    }

    /// The values above place `start` of the stack, taken off it.
    fn above(&mut self, start: usize) -> Result<Vec<Id>, String> {
        // A mark says what belongs together; nothing reaches across.
        if start > self.stack.len() || self.marks.last().is_some_and(|&mark| mark > start) {
            return Err("found too few values".to_owned());
        }
        self.budget.take((self.stack.len() - start) * ENTRY)?;
        Ok(self.stack.split_off(start))
    }

    fn collection(&mut self, code: u8) -> Result<(), String> {
        let start = match code {
            b'a' => self.stack.len().checked_sub(1),
            b's' => self.stack.len().checked_sub(2),
            _ => Some(self.mark()?),
        };
        let items = self.above(start.ok_or("found too few values")?)?;
        let pairs = || items.as_chunks::<2>().0.iter().map(|&[key, value]| (key, value));
        if matches!(code, b'd' | b'u') && items.len() % 2 == 1 {
            return Err("found a key without a value".to_owned());
        }
        match code {
            b'l' => return self.push(Value::List(items)),
            b'd' => return self.push(Value::Dict(pairs().collect())),
            _ => {}
        }
        let target = *self.stack.last().ok_or("found nothing to add to")?;
        match (&mut self.values[target as usize], code) {
            (Value::List(list), b'a' | b'e') => list.extend(items),
            (Value::Dict(dict), b's' | b'u') => dict.extend(pairs()),
            _ => return Err("found entries for what is no list or dictionary".to_owned()),
        }
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<(), String> {
        let key = match code {
            b'q' | b'h' => u32::from(self.cursor.u8("a number")?),
            b'r' | b'j' => self.cursor.u32("a number")?,
            _ => self.memo.len() as u32,
        };
        if matches!(code, b'h' | b'j') {
            let id =
                *self.memo.get(&key).ok_or_else(|| format!("found value {key}, which was not remembered"))?;
            return self.push_id(id);
        }
        let id = *self.stack.last().ok_or("found nothing to remember")?;
        self.budget.take(MEMO)?;
        self.memo.insert(key, id);
        Ok(())
    }

    /// `('storage', type, key, device, count)` becomes a storage.
    fn persistent(&mut self) -> Result<(), String> {
        let wrong = "found a reference that is none to a storage";
        let id = self.pop()?;
        let Value::Tuple(items) = self.value(id) else { return Err(wrong.to_owned()) };
        let [tag, kind, key, _device, count] = **items else { return Err(wrong.to_owned()) };
        let values = (self.value(tag), self.value(kind), self.value(key), self.value(count));
        let (
            Value::Text("storage"),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            Value::Int(count),
        ) = values
        else {
            return Err(wrong.to_owned());
        };
        let storage = Storage::new(*dtype, *count, (self.storage)(key)?)
            .map_err(|message| format!("storage `{key}`: {message}"))?;
        self.push(Value::Storage(storage))
    }

    /// What a known function would make of its arguments.
    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Global(function), Value::Tuple(arguments)) =
            (self.value(function), self.value(arguments))
        else {
            return Err("found a call of what is no function; nothing was run".to_owned());
        };
        let (function, arguments) = (*function, arguments.clone());
        match (function, &*arguments) {
            (Global::OrderedDict, []) => self.push(Value::Dict(Vec::new())),
            // An OrderedDict of old versions brings its entries as a list of pairs.
            (Global::OrderedDict, &[pairs]) => {
                let dict = self.pairs(pairs)?;
                self.push(Value::Dict(dict))
            }
            (Global::Size, &[sizes]) | (Global::RebuildParameter, &[sizes, ..]) => self.push_id(sizes),
            (Global::RebuildTensor, &[storage, offset, size, stride, ..]) => {
                let view = self.view(storage, offset, size, stride)?;
                self.budget.take(size_of::<View>() + (view.size.len() + view.stride.len()) * ENTRY)?;
                self.push(Value::Tensor(Box::new(view)))
            }
            _ => Err(format!("found {function:?} with {} arguments", arguments.len())),
        }
    }

    fn pairs(&mut self, list: Id) -> Result<Vec<(Id, Id)>, String> {
        let wrong = "found entries of a dictionary that are no pairs";
        let Value::List(list) = self.value(list) else { return Err(wrong.to_owned()) };
        let pair = |&id: &Id| match self.value(id) {
            Value::Tuple(pair) if let [key, value] = **pair => Some((key, value)),
            Value::List(pair) if let [key, value] = **pair => Some((key, value)),
            _ => None,
        };
        let pairs = list.iter().map(pair).collect::<Option<Vec<_>>>().ok_or(wrong)?;
        self.budget.take(pairs.len() * ENTRY)?;
        Ok(pairs)
    }

    fn view(&self, storage: Id, offset: Id, size: Id, stride: Id) -> Result<View<'a>, String> {
        let Value::Storage(storage) = self.value(storage) else {
            return Err("found a tensor without a storage".to_owned());
        };
        let number = |id: Id, what: &str| match self.value(id) {
            Value::Int(value) => {
                usize::try_from(*value).map_err(|_| format!("found the {what} {value} of a tensor"))
            }
            _ => Err(format!("found the {what} of a tensor that is no number")),
        };
        let numbers = |id: Id, what: &str| match self.value(id) {
            Value::Tuple(ids) if ids.len() <= 16 => ids.iter().map(|&id| number(id, what)).collect(),
            _ => Err(format!("found the {what} of a tensor that is no tuple of up to 16 numbers")),
        };
        View::new(*storage, number(offset, "offset")?, numbers(size, "size")?, numbers(stride, "stride")?)
    }

    fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), String> {
        self.budget.take(VALUE)?;
        let id = self.values.len() as Id;
        self.values.push(value);
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Result<(), String> {
        self.budget.take(ENTRY)?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        if self.marks.last().is_some_and(|&mark| mark >= self.stack.len()) {
            return Err("found too few values".to_owned());
        }
        self.stack.pop().ok_or_else(|| "found too few values".to_owned())
    }

    fn mark(&mut self) -> Result<usize, String> {
        self.marks.pop().ok_or_else(|| "found the end of a list without its start".to_owned())
    }
}
