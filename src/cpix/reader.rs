//! The grammar of XML 1.0 without a DTD: from text to markup, one piece at a time. Knows nothing of namespaces or nesting.

/// What is wrong with a document, for the log.
pub(super) type Fault = &'static str;

/// A prefix and a local part; the prefix may be empty (Namespaces in XML 1.0 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QName<'a> {
    pub(super) prefix: &'a str,
    pub(super) local: &'a str,
}

/// A piece of a document. Values are as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup<'a> {
    /// Characters up to the next markup; never empty.
    Text(&'a str),
    /// The inside of a CDATA section.
    CData(&'a str),
    Comment,
    Instruction {
        target: &'a str,
        data: &'a str,
    },
    /// A start tag up to its attributes, which [`Reader::attribute`] reads.
    Open(QName<'a>),
    /// An end tag.
    Close(QName<'a>),
    /// The end of the text.
    End,
}

/// What follows in a start tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InTag<'a> {
    Attribute(QName<'a>, &'a str),
    /// `>`
    Opened,
    /// `/>`
    Empty,
}

/// Reads a text from front to back.
pub(super) struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Starts behind the XML declaration, if there is one.
    pub(super) fn new(text: &'a str) -> Result<Self, Fault> {
        let mut reader = Self { rest: text };
        let declared = text.strip_prefix("<?xml").is_some_and(|after| after.starts_with(is_space));
        if declared {
            reader.eat("<?xml");
            reader.declaration()?;
        }
        Ok(reader)
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// XML 1.0 sections 2.8 and 2.9, and `EncodingDecl` of section 4.3.3.
    fn declaration(&mut self) -> Result<(), Fault> {
        if self.pseudo_attribute("version")? != Some("1.0") {
            return Err("a version other than 1.0");
        }
        if self.pseudo_attribute("encoding")?.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("utf-8")) {
            return Err("an encoding other than UTF-8");
        }
        if !matches!(self.pseudo_attribute("standalone")?, None | Some("yes" | "no")) {
            return Err("a broken XML declaration");
        }
        self.eat_space();
        if self.eat("?>") { Ok(()) } else { Err("a broken XML declaration") }
    }

    fn pseudo_attribute(&mut self, name: &str) -> Result<Option<&'a str>, Fault> {
        let start = self.rest;
        if self.eat_space() && self.eat(name) {
            return self.equals_quoted().map(Some);
        }
        self.rest = start;
        Ok(None)
    }

    /// The next piece. Outside of the root element, text that is not white space is for the caller to refuse.
    pub(super) fn markup(&mut self) -> Result<Markup<'a>, Fault> {
        if self.rest.is_empty() {
            return Ok(Markup::End);
        }
        if !self.rest.starts_with('<') {
            let (text, rest) =
                self.rest.split_at_checked(self.rest.find('<').unwrap_or(self.rest.len())).unwrap_or_default();
            self.rest = rest;
            return if text.contains("]]>") { Err("]]> in text") } else { Ok(Markup::Text(text)) };
        }
        if self.eat("</") {
            let name = self.qname()?;
            self.eat_space();
            return if self.eat(">") { Ok(Markup::Close(name)) } else { Err("a broken end tag") };
        }
        if self.eat("<!--") {
            self.until("--").ok_or("a comment without an end")?;
            return if self.eat(">") { Ok(Markup::Comment) } else { Err("-- in a comment") };
        }
        if self.eat("<![CDATA[") {
            return self.until("]]>").map(Markup::CData).ok_or("a CDATA section without an end");
        }
        if self.eat("<?") {
            return self.instruction();
        }
        if self.rest.starts_with("<!") {
            return Err("a DTD or a broken declaration");
        }
        self.eat("<");
        self.qname().map(Markup::Open)
    }

    fn instruction(&mut self) -> Result<Markup<'a>, Fault> {
        let target = self.ncname()?;
        if target.eq_ignore_ascii_case("xml") {
            return Err("an XML declaration that is not at the start");
        }
        let spaced = self.eat_space();
        let data = self.until("?>").ok_or("a processing instruction without an end")?;
        if !spaced && !data.is_empty() {
            return Err("a broken processing instruction");
        }
        Ok(Markup::Instruction { target, data })
    }

    /// The next piece of a start tag.
    pub(super) fn attribute(&mut self) -> Result<InTag<'a>, Fault> {
        let spaced = self.eat_space();
        if self.eat(">") {
            return Ok(InTag::Opened);
        }
        if self.eat("/>") {
            return Ok(InTag::Empty);
        }
        if !spaced {
            return Err("a broken start tag");
        }
        let name = self.qname()?;
        let value = self.equals_quoted()?;
        if value.contains('<') { Err("< in an attribute") } else { Ok(InTag::Attribute(name, value)) }
    }

    fn equals_quoted(&mut self) -> Result<&'a str, Fault> {
        self.eat_space();
        if !self.eat("=") {
            return Err("an attribute without a value");
        }
        self.eat_space();
        let quote = ["\"", "'"].into_iter().find(|quote| self.eat(quote)).ok_or("an attribute without quotes")?;
        self.until(quote).ok_or("an attribute without an end")
    }

    fn qname(&mut self) -> Result<QName<'a>, Fault> {
        let first = self.ncname()?;
        if self.eat(":") {
            return Ok(QName { prefix: first, local: self.ncname()? });
        }
        Ok(QName { prefix: "", local: first })
    }

    fn ncname(&mut self) -> Result<&'a str, Fault> {
        if !self.rest.starts_with(is_name_start) {
            return Err("a name is expected");
        }
        let end = self.rest.find(|char| !is_name_char(char)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        Ok(name)
    }

    /// Everything before `end`, which is consumed too.
    fn until(&mut self, end: &str) -> Option<&'a str> {
        let (before, after) = self.rest.split_once(end)?;
        self.rest = after;
        Some(before)
    }

    fn eat(&mut self, token: &str) -> bool {
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Whether there was any white space.
    fn eat_space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches(is_space);
        self.rest.len() < before
    }
}

/// `S` of XML 1.0 section 2.3.
pub(super) const fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

/// `NameStartChar` of XML 1.0 section 2.3 without the colon.
const fn is_name_start(char: char) -> bool {
    matches!(char,
        'A'..='Z' | 'a'..='z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// `NameChar` of XML 1.0 section 2.3 without the colon.
const fn is_name_char(char: char) -> bool {
    is_name_start(char)
        || matches!(char, '0'..='9' | '-' | '.' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}
