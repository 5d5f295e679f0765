//! Texts that make a reader work, of any size: what costs more than in proportion to its length in some reader of XML or JSON.
//! Knows nothing of the crate.

/// A text, and what it is.
pub type Hostile = (&'static str, String);

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

/// Documents of about `size` bytes, not all of them well-formed.
pub fn documents(size: usize) -> Vec<Hostile> {
    let long = "n".repeat(1000);
    let half = format!("urn:{}", "n".repeat(size / 2));
    let redeclared: String = (0..120).map(|depth| format!("<p:a xmlns:p='urn:{depth}' xmlns='urn:{depth}'>")).collect();
    let redeclared = format!("{redeclared}{}", "</p:a>".repeat(120));
    let declared_deep: String = (0..120)
        .map(|depth| format!("<a{}>", repeated(size / 120, |i| format!(" xmlns:p{depth}x{i}='urn:{i}'"))))
        .collect();
    let partial = r##"<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><Reference URI="#a"/></SignedInfo></Signature>"##;
    let nested = "<s:Signature><s:SignedInfo>".repeat(60) + &"</s:SignedInfo></s:Signature>".repeat(60);
    let of = |piece: &str| piece.repeat(size / piece.len());
    vec![
        ("attributes of one element", root("", &format!("<a{}/>", repeated(size, |i| format!(" a{i}=''"))))),
        (
            "declarations on one element, and elements in it",
            root(&repeated(size / 2, |i| format!(" xmlns:p{i}='urn:{i}'")), &repeated(size / 2, |_| "<a/>".to_owned())),
        ),
        (
            "prefixed attributes of one element",
            root("", &format!("<a{}/>", repeated(size, |i| format!(" xmlns:p{i}='urn:{i}' p{i}:a=''")))),
        ),
        ("declarations on nested elements", root("", &format!("{declared_deep}{}", "</a>".repeat(120)))),
        ("one prefix again and again, nested", root("", &of(&redeclared))),
        (
            "prefixes used by other elements than declare them",
            root(
                &repeated(size / 2, |i| format!(" xmlns:p{i}='urn:{i}'")),
                &repeated(size / 2, |i| format!("<p{}:a/>", i % 100)),
            ),
        ),
        (
            "long names that differ at the end",
            root("", &format!("<a{}/>", repeated(size, |i| format!(" {long}{i}=''")))),
        ),
        (
            "long namespaces that differ at the end",
            root("", &format!("<a{}/>", repeated(size, |i| format!(" xmlns:p{i}='urn:{long}{i}'")))),
        ),
        (
            "two long namespaces",
            root(
                &format!(" xmlns:p='{half}1' xmlns:q='{half}2'"),
                &format!("<a{}/>", repeated(size / 2, |i| format!(" p:a{i}='' q:a{i}=''"))),
            ),
        ),
        (
            "one long namespace, rendered again and again",
            root(&format!(" xmlns:p='{half}'"), &repeated(size / 2, |_| "<p:a/>".to_owned())),
        ),
        ("attributes of the prefix xml", root(&repeated(size, |i| format!(" xml:a{i}=''")), &signature("", ""))),
        ("references", root("", &of("&#x26;"))),
        ("line ends", root("", &of("\r"))),
        ("references without an end", root("", &of("&"))),
        ("one long reference", root("", &format!("&#{}65;", "0".repeat(size)))),
        ("comments", root("", &of("<!---->"))),
        ("comments and text in turn", root("", &format!("{}{}", of("<a>t<b><!-- --></b></a>"), signature("", "")))),
        ("comments without an end", root("", &of("<!--"))),
        ("processing instructions", root("", &of("<?a?>"))),
        ("CDATA sections", root("", &of("<![CDATA[]]>"))),
        ("CDATA sections without an end", root("", &of("<![CDATA["))),
        ("brackets", root("", &of("]] "))),
        ("tags without an end", root("", &of("<a "))),
        ("nothing but <", of("<")),
        ("white space", of(" ")),
        ("nested elements", root("", &format!("{}{}", "<a>".repeat(120), "</a>".repeat(120)).repeat(size / 900))),
        ("keys of contents", root("", &format!("{}{}", of("<ContentKey contentId='content-1'/>"), signature("", "")))),
        ("signatures of parts", root("", &of(partial))),
        ("nested signatures", root(" xmlns:s='http://www.w3.org/2000/09/xmldsig#'", &of(&nested))),
        (
            "a long PrefixList",
            root(
                &repeated(size / 3, |i| format!(" xmlns:p{i}='urn:{i}'")),
                &signature(&repeated(size / 4, |i| format!("p{i} ")), ""),
            ),
        ),
        (
            "one prefix again and again in a PrefixList",
            root(" xmlns:p='urn:p'", &signature(&repeated(size / 2, |_| "p ".to_owned()), "")),
        ),
        (
            "a long KeyInfo",
            root("", &signature("", &of("<X509Data><X509Certificate>AA==</X509Certificate></X509Data>"))),
        ),
        (
            "a long text in a KeyInfo",
            root("", &signature("", &format!("<X509Data><X509CRL>{}</X509CRL></X509Data>", of("&#13;\n")))),
        ),
        (
            "declarations in a signature",
            root("", &signature("", &format!("<KeyName{}/>", repeated(size, |i| format!(" xmlns:p{i}='urn:{i}'"))))),
        ),
    ]
}

/// JSON texts of about `size` bytes, not all of them right.
pub fn objects(size: usize) -> Vec<Hostile> {
    let long = "n".repeat(1000);
    let of = |piece: &str| piece.repeat(size / piece.len());
    let object = |members: String| format!("{{{}}}", members.trim_end_matches(','));
    vec![
        ("members", object(repeated(size, |i| format!("\"a{i}\":0,")))),
        ("members in falling order", object(repeated(size, |i| format!("\"a{}\":0,", 9_999_999 - i)))),
        ("members with long names that differ at the end", object(repeated(size, |i| format!("\"{long}{i:07}\":0,")))),
        ("members with escaped names", object(repeated(size, |i| format!("\"\\u0061{i}\":0,")))),
        ("one name again and again", object(of("\"a\":0,"))),
        ("one long text", format!("{{\"kid\":\"{}\"}}", of("a"))),
        ("one long text of escapes", format!("{{\"kid\":\"{}\"}}", of("\\u0061"))),
        ("surrogate pairs", format!("{{\"kid\":\"{}\"}}", of("\\ud83d\\ude00"))),
        ("many texts", format!("{{\"kid\":[{}\"\"]}}", of("\"\","))),
        (
            "nested arrays, again and again",
            format!("{{\"kid\":[{}0]}}", of(&format!("{}{},", "[".repeat(100), "]".repeat(100)))),
        ),
        ("brackets without an end", format!("{{\"kid\":{}", of("["))),
        ("a long number", format!("{{\"kid\":{}}}", of("1"))),
        ("white space", format!("{{{}}}", of(" "))),
        ("quotes without an end", format!("{{\"{}", of("\\\""))),
    ]
}

/// JWK Sets of about `size` bytes.
pub fn sets(size: usize) -> Vec<Hostile> {
    let key = |kid: &str| format!(r#"{{"kid":"{kid}","kty":"oct","alg":"HS256","iss":"o","k":"{}"}},"#, "A".repeat(43));
    let set = |keys: String| format!("{{\"keys\":[{}]}}", keys.trim_end_matches(','));
    vec![
        ("keys", set(repeated(size, |i| key(&format!("k{i}"))))),
        ("keys of one name", set(repeated(size, |_| key("k")))),
        (
            "keys with long names that differ at the end",
            set(repeated(size, |i| key(&format!("{}{i:07}", "n".repeat(240))))),
        ),
        ("empty keys", set(repeated(size, |_| "{},".to_owned()))),
        ("no keys", set(repeated(size, |_| "0,".to_owned()))),
    ]
}
