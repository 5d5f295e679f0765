//! Texts that make a reader work, of any size: what costs more than in proportion to its length in some reader of XML or JSON.
//! Knows nothing of the crate.

/// What a text is, and how it is made of about so many bytes.
pub type Hostile = (&'static str, fn(usize) -> String);

/// Around `inside`, a document's root element with these attributes.
pub fn root(attributes: &str, inside: &str) -> String {
    format!(r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="content-1"{attributes}>{inside}</CPIX>"#)
}

/// As many pieces as fit into so many bytes.
pub fn repeated(bytes: usize, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in 0.. {
        let next = piece(number);
        if text.len() + next.len() > bytes {
            break;
        }
        text += &next;
    }
    text
}

/// A signature of the allowed form, which is wrong; `list` is the `PrefixList` of both canonicalisations.
pub fn signature(list: &str, key_info: &str) -> String {
    let method = |name: &str| {
        format!(
            r#"<{name} Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"><InclusiveNamespaces xmlns="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="{list}"/></{name}>"#
        )
    };
    format!(
        r#"<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>{}<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><Reference URI=""><Transforms><Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>{}</Transforms><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue>AA==</DigestValue></Reference></SignedInfo><SignatureValue>AA==</SignatureValue><KeyInfo>{key_info}</KeyInfo></Signature>"#,
        method("CanonicalizationMethod"),
        method("Transform"),
    )
}

/// As many copies of a piece as fit into so many bytes.
fn of(size: usize, piece: &str) -> String {
    piece.repeat(size / piece.len())
}

/// A namespace with a long name.
fn long(length: usize) -> String {
    format!("urn:{}", "n".repeat(length))
}

/// Declarations of so many bytes.
fn declarations(size: usize) -> String {
    repeated(size, |i| format!(" xmlns:p{i}='urn:{i}'"))
}

/// Documents, not all of them well-formed.
pub const DOCUMENTS: &[Hostile] = &[
    ("attributes of one element", |size| root("", &format!("<a{}/>", repeated(size, |i| format!(" a{i}=''"))))),
    ("declarations on one element, and elements in it", |size| root(&declarations(size / 2), &of(size / 2, "<a/>"))),
    ("prefixed attributes of one element", |size| {
        root("", &format!("<a{}/>", repeated(size, |i| format!(" xmlns:p{i}='urn:{i}' p{i}:a=''"))))
    }),
    ("declarations on nested elements", |size| {
        let declared = |depth| format!("<a{}>", repeated(size / 120, |i| format!(" xmlns:p{depth}x{i}='urn:{i}'")));
        root("", &format!("{}{}", (0..120).map(declared).collect::<String>(), "</a>".repeat(120)))
    }),
    ("one prefix again and again, nested", |size| {
        let nested: String = (0..120).map(|depth| format!("<p:a xmlns:p='urn:{depth}' xmlns='urn:{depth}'>")).collect();
        root("", &of(size, &format!("{nested}{}", "</p:a>".repeat(120))))
    }),
    ("prefixes used by other elements than declare them", |size| {
        root(&declarations(size / 2), &repeated(size / 2, |i| format!("<p{}:a/>", i % 100)))
    }),
    ("long names that differ at the end", |size| {
        let long = long(1000).replace(':', "");
        root("", &format!("<a{}/>", repeated(size, |i| format!(" {long}{i}=''"))))
    }),
    ("long namespaces that differ at the end", |size| {
        let long = long(1000);
        root("", &format!("<a{}/>", repeated(size, |i| format!(" xmlns:p{i}='{long}{i}'"))))
    }),
    ("two long namespaces", |size| {
        let long = long(size / 4);
        let used = repeated(size / 2, |i| format!(" p:a{i}='' q:a{i}=''"));
        root(&format!(" xmlns:p='{long}1' xmlns:q='{long}2'"), &format!("<a{used}/>"))
    }),
    ("one long namespace, rendered again and again", |size| {
        root(&format!(" xmlns:p='{}'", long(size / 2)), &of(size / 2, "<p:a/>"))
    }),
    ("attributes of the prefix xml", |size| root(&repeated(size, |i| format!(" xml:a{i}=''")), &signature("", ""))),
    ("references", |size| root("", &of(size, "&#x26;"))),
    ("line ends", |size| root("", &of(size, "\r"))),
    ("references without an end", |size| root("", &of(size, "&"))),
    ("one long reference", |size| root("", &format!("&#{}65;", of(size, "0")))),
    ("comments", |size| root("", &of(size, "<!---->"))),
    ("comments and text in turn", |size| {
        root("", &format!("{}{}", of(size, "<a>t<b><!-- --></b></a>"), signature("", "")))
    }),
    ("comments without an end", |size| root("", &of(size, "<!--"))),
    ("processing instructions", |size| root("", &of(size, "<?a?>"))),
    ("CDATA sections", |size| root("", &of(size, "<![CDATA[]]>"))),
    ("CDATA sections without an end", |size| root("", &of(size, "<![CDATA["))),
    ("brackets", |size| root("", &of(size, "]] "))),
    ("tags without an end", |size| root("", &of(size, "<a "))),
    ("nothing but <", |size| of(size, "<")),
    ("white space", |size| of(size, " ")),
    ("nested elements", |size| root("", &of(size, &format!("{}{}", "<a>".repeat(120), "</a>".repeat(120))))),
    ("keys of contents", |size| {
        root("", &format!("{}{}", of(size, "<ContentKey contentId='content-1'/>"), signature("", "")))
    }),
    ("signatures of parts", |size| {
        root(
            "",
            &of(
                size,
                r##"<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><Reference URI="#a"/></SignedInfo></Signature>"##,
            ),
        )
    }),
    ("nested signatures", |size| {
        let nested = "<s:Signature><s:SignedInfo>".repeat(60) + &"</s:SignedInfo></s:Signature>".repeat(60);
        root(" xmlns:s='http://www.w3.org/2000/09/xmldsig#'", &of(size, &nested))
    }),
    ("a long PrefixList", |size| {
        root(&declarations(size / 2), &signature(&repeated(size / 4, |i| format!("p{i} ")), ""))
    }),
    ("one prefix again and again in a PrefixList", |size| {
        root(" xmlns:p='urn:p'", &signature(&of(size / 2, "p "), ""))
    }),
    ("a long KeyInfo", |size| {
        root("", &signature("", &of(size, "<X509Data><X509Certificate>AA==</X509Certificate></X509Data>")))
    }),
    ("a long text in a KeyInfo", |size| {
        root("", &signature("", &format!("<X509Data><X509CRL>{}</X509CRL></X509Data>", of(size, "&#13;\n"))))
    }),
    ("declarations in a signature", |size| root("", &signature("", &format!("<KeyName{}/>", declarations(size))))),
];

/// A JSON object with these members, the last of which may have a comma behind it.
fn object(members: &str) -> String {
    format!("{{{}}}", members.trim_end_matches(','))
}

/// JSON texts, not all of them right.
pub const OBJECTS: &[Hostile] = &[
    ("members", |size| object(&repeated(size, |i| format!("\"a{i}\":0,")))),
    ("members in falling order", |size| object(&repeated(size, |i| format!("\"a{}\":0,", 9_999_999 - i)))),
    ("members with long names that differ at the end", |size| {
        let long = long(1000);
        object(&repeated(size, |i| format!("\"{long}{i:07}\":0,")))
    }),
    ("members with escaped names", |size| object(&repeated(size, |i| format!("\"\\u0061{i}\":0,")))),
    ("one name again and again", |size| object(&of(size, "\"a\":0,"))),
    ("one long text", |size| format!("{{\"kid\":\"{}\"}}", of(size, "a"))),
    ("one long text of escapes", |size| format!("{{\"kid\":\"{}\"}}", of(size, "\\u0061"))),
    ("surrogate pairs", |size| format!("{{\"kid\":\"{}\"}}", of(size, "\\ud83d\\ude00"))),
    ("many texts", |size| format!("{{\"kid\":[{}\"\"]}}", of(size, "\"\","))),
    ("nested arrays, again and again", |size| {
        format!("{{\"kid\":[{}0]}}", of(size, &format!("{}{},", "[".repeat(100), "]".repeat(100))))
    }),
    ("brackets without an end", |size| format!("{{\"kid\":{}", of(size, "["))),
    ("a long number", |size| format!("{{\"kid\":{}}}", of(size, "1"))),
    ("white space", |size| format!("{{{}}}", of(size, " "))),
    ("quotes without an end", |size| format!("{{\"{}", of(size, "\\\""))),
];

/// A set of keys of these names.
fn keys(size: usize, kid: impl Fn(usize) -> String) -> String {
    let secret = "A".repeat(43);
    let key = |i| format!(r#"{{"kid":"{}","kty":"oct","alg":"HS256","iss":"o","k":"{secret}"}},"#, kid(i));
    format!("{{\"keys\":[{}]}}", repeated(size, key).trim_end_matches(','))
}

/// JWK Sets.
pub const SETS: &[Hostile] = &[
    ("keys", |size| keys(size, |i| format!("k{i}"))),
    ("keys of one name", |size| keys(size, |_| "k".to_owned())),
    ("keys with long names that differ at the end", |size| keys(size, |i| format!("{}{i:07}", "n".repeat(240)))),
    ("empty keys", |size| format!("{{\"keys\":[{}{{}}]}}", of(size, "{},"))),
    ("no keys", |size| format!("{{\"keys\":[{}0]}}", of(size, "0,"))),
];
