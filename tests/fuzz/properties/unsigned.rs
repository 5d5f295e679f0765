//! What goes on with a verified document although no digest covers it. Reads the document's own text, with a reader that
//! shares nothing with the crate and may take well-formedness for granted.

const DSIG: [&str; 2] = ["http://www.w3.org/2000/09/xmldsig#", "http://www.w3.org/2009/xmldsig11#"];
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ATTRIBUTES: [&str; 5] = ["Id", "Algorithm", "URI", "Type", "PrefixList"];
/// The elements of XML-DSig that the schemas give no text.
const WITHOUT_TEXT: &str = "Signature SignedInfo CanonicalizationMethod SignatureMethod Reference Transforms Transform \
    DigestMethod KeyInfo KeyValue DSAKeyValue RSAKeyValue RetrievalMethod X509Data X509IssuerSerial PGPData SPKIData Object \
    Manifest SignatureProperties SignatureProperty HMACOutputLength XPath ECKeyValue NamedCurve ECParameters FieldID Prime \
    GnB TnB PnB Curve ValidationData KeyInfoReference";

#[derive(Debug, Clone, PartialEq)]
enum Event<'t> {
    Open { namespace: &'t str, local: &'t str, attributes: Vec<(&'t str, &'t str)> },
    Close,
    Text(&'t str),
    Comment,
    Instruction,
}

/// Checks that in a verified document nothing but the allowed stands where nothing is signed.
pub fn check(document: &str) {
    let events = events(document);
    let mut depth = 0_usize;
    let mut inside = None;
    // For each open element: whether it holds text, and a comment.
    let mut open = vec![(false, false)];
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Open { .. } => {
                if depth == 1 && inside.is_none() && is_whole(&events[at..]) {
                    inside = Some(events[at..].to_vec());
                }
                depth += 1;
                open.push((false, false));
            }
            Event::Close => {
                depth -= 1;
                let (text, comment) = open.pop().expect("well-formed");
                assert!(!(text && comment), "a comment beside text in {document}");
            }
            Event::Text(text) => open.last_mut().expect("well-formed").0 |= !is_blank(text),
            Event::Comment => open.last_mut().expect("well-formed").1 = true,
            Event::Instruction => {}
        }
    }
    check_signature(&inside.expect("a verified document has a signature"), document);
}

/// Whether the element that begins here is the signature with a reference to the whole document.
fn is_whole(events: &[Event<'_>]) -> bool {
    let mut open: Vec<&str> = Vec::new();
    for event in events {
        match event {
            Event::Open { namespace, local, attributes } => {
                open.push(if *namespace == DSIG[0] { local } else { "" });
                if open == ["Signature", "SignedInfo", "Reference"] && attributes.contains(&("URI", "")) {
                    return true;
                }
            }
            Event::Close => {
                open.pop();
                if open.is_empty() {
                    return false;
                }
            }
            _ => {}
        }
    }
    false
}

fn check_signature(events: &[Event<'_>], document: &str) {
    let mut open: Vec<(&str, &str)> = Vec::new();
    for event in events {
        let around = open.last().copied();
        match event {
            Event::Open { namespace, local, attributes } => {
                let of_exclusive = (*namespace, *local) == (EXCLUSIVE, "InclusiveNamespaces")
                    && around.is_some_and(|(_, local)| ["CanonicalizationMethod", "Transform"].contains(&local));
                assert!(of_exclusive || DSIG.contains(namespace), "{{{namespace}}}{local} in {document}");
                for (name, _) in attributes {
                    let declaration = *name == "xmlns" || name.starts_with("xmlns:");
                    assert!(declaration || ATTRIBUTES.contains(name), "attribute {name} in {document}");
                }
                open.push((namespace, local));
            }
            Event::Close => {
                open.pop();
                if open.is_empty() {
                    return;
                }
            }
            Event::Text(text) if is_blank(text) => {}
            Event::Text(text) => {
                let (namespace, local) = around.expect("inside of the signature");
                let has_text = DSIG.contains(&namespace) && !WITHOUT_TEXT.split_whitespace().any(|none| none == local);
                assert!(has_text, "{text} in {local} of {document}");
            }
            Event::Comment | Event::Instruction => panic!("{event:?} in the signature of {document}"),
        }
    }
}

fn events(document: &str) -> Vec<Event<'_>> {
    let mut events = Vec::new();
    let mut scopes: Vec<Vec<(&str, &str)>> = Vec::new();
    let mut rest = document.trim_start_matches('\u{FEFF}');
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").expect("well-formed").1;
            events.push(Event::Comment);
        } else if let Some(text) = rest.strip_prefix("<![CDATA[") {
            let (text, after) = text.split_once("]]>").expect("well-formed");
            rest = after;
            // What looks like a reference is none here.
            events.push(Event::Text(if text.contains('&') { "&" } else { text }));
        } else if let Some(instruction) = rest.strip_prefix("<?") {
            rest = instruction.split_once("?>").expect("well-formed").1;
            events.push(Event::Instruction);
        } else if let Some(end) = rest.strip_prefix("</") {
            rest = end.split_once('>').expect("well-formed").1;
            scopes.pop();
            events.push(Event::Close);
        } else if let Some(tag) = rest.strip_prefix('<') {
            let (name, attributes, empty, after) = start_tag(tag);
            rest = after;
            let declared = attributes.iter().filter(|(name, _)| name.starts_with("xmlns")).copied().collect();
            scopes.push(declared);
            let (prefix, local) = name.split_once(':').map_or(("xmlns", name), |(prefix, local)| (prefix, local));
            let binding = |(declared, _): &&(&str, &str)| {
                *declared == prefix || (prefix != "xmlns" && declared.strip_prefix("xmlns:") == Some(prefix))
            };
            let namespace =
                scopes.iter().rev().find_map(|scope| scope.iter().find(binding)).map_or("", |found| found.1);
            events.push(Event::Open { namespace, local, attributes });
            if empty {
                scopes.pop();
                events.push(Event::Close);
            }
        } else {
            let (text, after) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
            rest = after;
            events.push(Event::Text(text));
        }
    }
    events
}

/// Name, attributes, whether the element is empty, and what follows.
fn start_tag(tag: &str) -> (&str, Vec<(&str, &str)>, bool, &str) {
    let space = |c: char| c.is_ascii_whitespace();
    let (name, mut rest) = tag.split_at(tag.find(|c: char| space(c) || c == '>' || c == '/').expect("well-formed"));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(space);
        if let Some(after) = rest.strip_prefix("/>") {
            return (name, attributes, true, after);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (name, attributes, false, after);
        }
        let (attribute, value) = rest.split_once('=').expect("well-formed");
        let value = value.trim_start_matches(space);
        let quote = value.chars().next().expect("well-formed");
        let (value, after) = value[1..].split_once(quote).expect("well-formed");
        attributes.push((attribute.trim_end_matches(space), value));
        rest = after;
    }
}

/// Whether a text is white space, some of it as references perhaps.
fn is_blank(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let Some(reference) = text.strip_prefix("&#") else { return text.is_empty() };
    let Some((digits, after)) = reference.split_once(';') else { return false };
    let number = match digits.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    matches!(number, Ok(9 | 10 | 13 | 32)) && is_blank(after)
}
