//! A plotting backend that writes SVG: bitmaps are embedded, lines and dots of one style share an element, and inside a
//! page black, white and blue follow the colours of the page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, Rgba, RgbaImage};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontStyle,
    FontTransform,
};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Cursor;

/// Where a picture stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file of its own, on white ground.
    File,
    /// Inside a page, in its colours.
    Page,
}

/// An SVG document that is being written.
pub(super) struct Svg<'a> {
    text: &'a mut String,
    size: (u32, u32),
    place: Place,
    strokes: Option<Strokes>,
}

/// Lines or dots of one style that have not been written yet.
struct Strokes {
    attributes: String,
    data: String,
    end: Option<BackendCoord>,
}

impl<'a> Svg<'a> {
    /// Begins a document.
    ///
    /// * `title`: what programs that read to the blind say.
    pub fn new(text: &'a mut String, size: (u32, u32), title: &str, place: Place) -> Self {
        let (width, height) = size;
        // A page knows what an SVG element is.
        let space = if place == Place::File { " xmlns=\"http://www.w3.org/2000/svg\"" } else { "" };
        let _ = write!(
            text,
            "<svg{space} width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{}</title>\n",
            escaped(title)
        );
        Self { text, size, place, strokes: None }
    }

    fn flush(&mut self) {
        if let Some(Strokes { attributes, data, .. }) = self.strokes.take() {
            let _ = writeln!(self.text, "<path d=\"{data}\" {attributes}/>");
        }
    }

    fn element(&mut self, text: &str) {
        self.flush();
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Strokes with these attributes, which go on where the last ones had the same.
    fn strokes(&mut self, attributes: String) -> &mut Strokes {
        if self.strokes.as_ref().is_some_and(|strokes| strokes.attributes != attributes) {
            self.flush();
        }
        self.strokes.get_or_insert_with(|| Strokes { attributes, data: String::new(), end: None })
    }

    fn colour(&self, colour: BackendColor) -> String {
        let (red, green, blue) = colour.rgb;
        match (self.place, colour.rgb) {
            (Place::Page, (0, 0, 0)) => "currentColor".to_owned(),
            (Place::Page, (255, 255, 255)) => "var(--paper, #fff)".to_owned(),
            // On dark ground a page may have a brighter blue.
            (Place::Page, (0, 114, 178)) => "var(--blue, #0072b2)".to_owned(),
            _ => format!("#{red:02x}{green:02x}{blue:02x}"),
        }
    }

    /// An attribute with the colour, and one with the opacity where it is not full.
    fn paint(&self, attribute: &str, colour: BackendColor) -> String {
        let opacity =
            if colour.alpha < 1.0 { format!(" opacity=\"{:.3}\"", colour.alpha) } else { String::new() };
        format!("{attribute}=\"{}\"{opacity}", self.colour(colour))
    }
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for Svg<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        self.element("</svg>");
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Drawn {
        self.draw_rect((x, y), (x + 1, y + 1), &colour, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if style.color().alpha == 0.0 {
            return Ok(());
        }
        let paint = match fill {
            true => self.paint("fill", style.color()),
            false => format!("fill=\"none\" {}", self.paint("stroke", style.color())),
        };
        let (x, y, width, height) =
            (left.min(right), top.min(bottom), left.abs_diff(right), top.abs_diff(bottom));
        self.element(&format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {paint}/>"));
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        if style.color().alpha == 0.0 {
            return Ok(());
        }
        let (paint, width) = (self.paint("stroke", style.color()), style.stroke_width());
        let strokes = self.strokes(format!("fill=\"none\" {paint} stroke-width=\"{width}\""));
        for (place, (x, y)) in path.into_iter().enumerate() {
            if place == 0 && strokes.end == Some((x, y)) {
                continue;
            }
            let _ = write!(strokes.data, "{}{x},{y}", if place == 0 { 'M' } else { 'L' });
            strokes.end = Some((x, y));
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Drawn {
        if style.color().alpha == 0.0 {
            return Ok(());
        }
        let mut points = String::new();
        for (x, y) in corners {
            let _ = write!(points, "{x},{y} ");
        }
        let paint = self.paint("fill", style.color());
        self.element(&format!("<polygon points=\"{}\" {paint}/>", points.trim_end()));
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if style.color().alpha == 0.0 {
            return Ok(());
        }
        if fill {
            // A stroke without length that has a round end.
            let paint = self.paint("stroke", style.color());
            let strokes =
                self.strokes(format!("{paint} stroke-width=\"{}\" stroke-linecap=\"round\"", 2 * radius));
            let _ = write!(strokes.data, "M{x},{y}h0");
            strokes.end = None;
            return Ok(());
        }
        let (paint, width) = (self.paint("stroke", style.color()), style.stroke_width());
        self.element(&format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"none\" {paint} stroke-width=\"{width}\"/>"
        ));
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, (x, y): BackendCoord) -> Drawn {
        if style.color().alpha == 0.0 {
            return Ok(());
        }
        let anchor = match style.anchor().h_pos {
            HPos::Left => "start",
            HPos::Right => "end",
            HPos::Center => "middle",
        };
        let shift = match style.anchor().v_pos {
            VPos::Top => "0.76em",
            VPos::Center => "0.5ex",
            VPos::Bottom => "-0.5ex",
        };
        let turn = match style.transform() {
            FontTransform::None => String::new(),
            FontTransform::Rotate90 => format!(" transform=\"rotate(90, {x}, {y})\""),
            FontTransform::Rotate180 => format!(" transform=\"rotate(180, {x}, {y})\""),
            FontTransform::Rotate270 => format!(" transform=\"rotate(270, {x}, {y})\""),
        };
        let weight = if matches!(style.style(), FontStyle::Bold) { " font-weight=\"bold\"" } else { "" };
        let paint = self.paint("fill", style.color());
        // The size of a font is that of its box, which is larger than the letters.
        let size = style.size() / 1.24;
        let family = style.family();
        let family = family.as_str();
        self.element(&format!(
            "<text x=\"{x}\" y=\"{y}\" dy=\"{shift}\" text-anchor=\"{anchor}\" font-family=\"{family}\" font-size=\"{size:.1}\"{weight} {paint}{turn}>{}</text>",
            escaped(text)
        ));
        Ok(())
    }

    /// Embeds pixels as PNG; those that are white are left out, so that the ground shows.
    fn blit_bitmap(&mut self, (x, y): BackendCoord, (width, height): (u32, u32), pixels: &[u8]) -> Drawn {
        let mut image = RgbaImage::new(width, height);
        for (pixel, rgb) in image.pixels_mut().zip(pixels.chunks_exact(3)) {
            *pixel = Rgba([rgb[0], rgb[1], rgb[2], if rgb == [255; 3] { 0 } else { 255 }]);
        }
        let mut png = Cursor::new(Vec::new());
        image
            .write_to(&mut png, ImageFormat::Png)
            .map_err(|error| DrawingErrorKind::FontError(error.into()))?;
        let data = STANDARD.encode(png.into_inner());
        self.element(&format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" style=\"image-rendering: pixelated\" href=\"data:image/png;base64,{data}\"/>"
        ));
        Ok(())
    }
}

/// Text as XML and HTML hold it; letters that XML has no place for are left out.
///
/// # Examples
/// ```
/// assert_eq!(spark_record::figures::escaped("<a & \"b\">\u{1}"), "&lt;a &amp; &quot;b&quot;&gt;");
/// ```
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(letter),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => safe.push(letter),
        }
    }
    safe
}
