//! The elements of a list in a JSON file, one by one, each held to its greatest length in memory: of the list that
//! the file is, or that a member of its object is.

use super::MAX_LINE;
use std::io::{self, BufRead};

/// Why there is no next element.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not JSON here.
    #[error("it is not JSON at byte {0}")]
    Text(u64),
    /// It ends too early.
    #[error("it ends in the middle: it is not the whole file")]
    Cut,
    /// There is no such list.
    #[error("it has no list of {0}")]
    NoList(&'static str),
}

/// The elements of a list.
pub struct Elements<R> {
    input: R,
    member: &'static str,
    place: Place,
    in_object: bool,
    element: Vec<u8>,
    number: u64,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// Before the first element.
    First,
    Inside,
    End,
}

impl<R: BufRead> Elements<R> {
    /// Of the list that `input` is, or that `member` of the object is.
    pub fn new(input: R, member: &'static str) -> Self {
        let (place, in_object, element) = (Place::Start, false, Vec::new());
        Self { input, member, place, in_object, element, number: 0, bytes: 0 }
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many elements were read.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next element with its number, counted from 1. One that is longer than it may be is cut to one byte more
    /// than that.
    ///
    /// # Errors
    /// [`Broken`]; then there is no next one.
    pub fn advance(&mut self) -> Result<Option<(u64, &[u8])>, Broken> {
        if self.place == Place::Start && !self.begin()? {
            return Err(Broken::NoList(self.member));
        }
        if self.place == Place::End {
            return Ok(None);
        }
        let next = self.after_space()?;
        if next == b']' {
            self.take()?;
            self.end()?;
            return Ok(None);
        }
        if self.place == Place::Inside {
            self.expect(b',')?;
            self.after_space()?;
        }
        self.place = Place::Inside;
        self.value(true)?;
        self.number += 1;
        Ok(Some((self.number, &self.element)))
    }

    /// Goes to the list; whether there is one.
    fn begin(&mut self) -> Result<bool, Broken> {
        match self.after_space()? {
            b'[' => {
                self.take()?;
                self.place = Place::First;
                Ok(true)
            }
            b'{' => {
                self.take()?;
                self.in_object = true;
                if self.after_space()? == b'}' {
                    return Ok(false);
                }
                self.member()
            }
            _ => Err(Broken::Text(self.bytes)),
        }
    }

    /// Goes through members, from the name of one on, to the list or the end.
    fn member(&mut self) -> Result<bool, Broken> {
        loop {
            if self.after_space()? != b'"' {
                return Err(Broken::Text(self.bytes));
            }
            self.value(true)?;
            let is_it = self.element.trim_ascii() == format!("\"{}\"", self.member).as_bytes();
            self.after_space()?;
            self.expect(b':')?;
            if self.after_space()? == b'[' && is_it && self.place == Place::Start {
                self.take()?;
                self.place = Place::First;
                return Ok(true);
            }
            self.value(false)?;
            match self.after_space()? {
                b',' => self.take()?,
                b'}' => {
                    self.take()?;
                    return Ok(false);
                }
                _ => return Err(Broken::Text(self.bytes)),
            };
            self.after_space()?;
        }
    }

    /// Reads what comes after the list: it must be all that belongs to it.
    fn end(&mut self) -> Result<(), Broken> {
        self.place = Place::End;
        if self.in_object {
            match self.after_space()? {
                b',' => {
                    self.take()?;
                    self.member()?;
                }
                _ => self.expect(b'}')?,
            }
        }
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Err(Broken::Text(self.bytes));
            }
            self.take()?;
        }
        Ok(())
    }

    /// Reads a value, to its end by strings and brackets, and keeps it if that is wanted.
    fn value(&mut self, keep: bool) -> Result<(), Broken> {
        self.element.clear();
        let (mut depth, mut in_string, mut escaped) = (0u32, false, false);
        loop {
            let byte = match self.peek()? {
                Some(byte) => byte,
                None => return Err(Broken::Cut),
            };
            let is_plain = !in_string && depth == 0;
            if is_plain && (matches!(byte, b',' | b']' | b'}' | b':') || byte.is_ascii_whitespace()) {
                return if self.element.is_empty() && keep { Err(Broken::Text(self.bytes)) } else { Ok(()) };
            }
            self.take()?;
            if keep && self.element.len() <= MAX_LINE {
                self.element.push(byte);
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
            if !in_string && depth == 0 && matches!(byte, b'"' | b'}' | b']') {
                return Ok(());
            }
        }
    }

    fn after_space(&mut self) -> Result<u8, Broken> {
        loop {
            match self.peek()? {
                Some(byte) if byte.is_ascii_whitespace() => self.take()?,
                Some(byte) => return Ok(byte),
                None => return Err(Broken::Cut),
            };
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Broken> {
        match self.peek()? {
            Some(byte) if byte == wanted => self.take().map(drop),
            Some(_) => Err(Broken::Text(self.bytes)),
            None => Err(Broken::Cut),
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, Broken> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    fn take(&mut self) -> Result<(), Broken> {
        self.input.consume(1);
        self.bytes += 1;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(text: &str) -> Result<Vec<String>, String> {
        let mut elements = Elements::new(io::BufReader::with_capacity(7, text.as_bytes()), "users");
        let mut found = Vec::new();
        while let Some((number, element)) = elements.advance().map_err(|broken| broken.to_string())? {
            found.push(String::from_utf8(element.to_vec()).unwrap());
            assert_eq!(number, found.len() as u64);
        }
        assert_eq!(elements.bytes(), text.len() as u64);
        Ok(found)
    }

    #[test]
    fn a_list_is_found_wherever_it_is() {
        let two = vec!["{\"a\":\"]}\\\"\"}".to_owned(), "{\"b\":[1,{}]}".to_owned()];
        let list = "[ {\"a\":\"]}\\\"\"} , {\"b\":[1,{}]} ]";
        assert_eq!(read(list), Ok(two.clone()));
        let within =
            format!(" {{\"realm\" : \"x\", \"more\":{{\"users\":[7]}},\n\"users\":{list}, \"z\":[1] }}\n");
        assert_eq!(read(&within), Ok(two));
        assert_eq!(read("[]"), Ok(vec![]));
        assert_eq!(read("{\"users\":[]}"), Ok(vec![]));
    }

    #[test]
    fn what_is_not_whole_is_said() {
        for (text, why) in [
            ("", "it ends in the middle"),
            ("[{\"a\":1}", "it ends in the middle"),
            ("[{\"a\":1", "it ends in the middle"),
            ("{\"users\":[{}]", "it ends in the middle"),
            ("{}", "it has no list of users"),
            ("{\"users\":{}}", "it has no list of users"),
            ("7", "it is not JSON at byte 0"),
            ("[1 2]", "it is not JSON at byte 3"),
            ("[,]", "it is not JSON at byte 1"),
            ("[1,]", "it is not JSON at byte 3"),
            ("[] x", "it is not JSON at byte 3"),
            ("{users:[]}", "it is not JSON at byte 1"),
        ] {
            assert!(read(text).unwrap_err().starts_with(why), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn a_long_element_is_cut_and_the_next_one_is_whole() {
        let text = format!("[\"{}\",1]", "x".repeat(MAX_LINE * 3));
        let found = read(&text).unwrap();
        assert_eq!((found[0].len(), found[1].as_str()), (MAX_LINE + 1, "1"));
    }

    proptest! {
        #[test]
        fn any_json_comes_apart(texts in proptest::collection::vec("\\PC{0,20}", 0..6), pretty: bool) {
            let users: Vec<Value> = texts.iter().map(|text| json!({"a": text, text.as_str(): [text, 1, null]})).collect();
            let all = json!({"before": {"users": [1]}, "users": users, "x": texts});
            let text = if pretty { serde_json::to_string_pretty(&all).unwrap() } else { all.to_string() };
            let found: Vec<Value> = read(&text).unwrap().iter().map(|one| serde_json::from_str(one).unwrap()).collect();
            prop_assert_eq!(found, users);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:\\\\a1 ]{0,40}") {
            drop(read(&text));
        }
    }
}
