//! What is a CPIX document, and what is MDRM-910.

use mdrm_authz::cpix::Document;

use super::{PLAIN, not_cpix};

/// A document with this inside the root element.
fn inside(content: &str) -> String {
    format!(r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="content-1">{content}</CPIX>"#)
}

#[test]
fn the_root_is_cpix_in_its_namespace() {
    for root in [
        r"<CPIX/>",
        r#"<CPIX xmlns="urn:dashif:org:CPIX"/>"#,
        r#"<cpix xmlns="urn:dashif:org:cpix"/>"#,
        r#"<x:CPIX xmlns="urn:dashif:org:cpix" xmlns:x="urn:x"/>"#,
        r#"<a><CPIX xmlns="urn:dashif:org:cpix"/></a>"#,
        r#"<CPIX xmlns="urn:dashif:org:cpix "/>"#,
    ] {
        assert_eq!(not_cpix(root.as_bytes()), "the root element is not CPIX of urn:dashif:org:cpix", "{root}");
    }
    let document =
        Document::parse(br#"<x:CPIX xmlns:x="urn:dashif&#58;org:cpix" contentId="&#x61;&amp;b&#10;"/>"#).unwrap();
    assert_eq!(document.content_ids().collect::<Vec<_>>(), ["a&b\n"]);
}

#[test]
fn only_utf_8_is_read() {
    let utf16: Vec<u8> = PLAIN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark: Vec<u8> = [0xFF, 0xFE].into_iter().chain(utf16.iter().copied()).collect();
    let latin1 =
        inside("é").replace('é', "\u{1}").into_bytes().iter().map(|b| if *b == 1 { 0xE9 } else { *b }).collect();
    for body in [utf16, with_mark, latin1, b"\xff".to_vec(), inside("").into_bytes()[..10].to_vec(), vec![]] {
        not_cpix(&body);
    }
    let declared = |declaration: &str| format!("{declaration}{PLAIN}");
    for declaration in [
        r#"<?xml version="1.0"?>"#,
        r#"<?xml version="1.0" encoding="UTF-8"?>"#,
        r"<?xml version='1.0' encoding='Utf-8' standalone='no' ?>",
        "\u{FEFF}<?xml\tversion = \"1.0\"\nencoding = \"utf-8\"?>\r\n",
        "\u{FEFF}",
    ] {
        assert!(Document::parse(declared(declaration).as_bytes()).is_ok(), "{declaration}");
    }
    for (declaration, fault) in [
        (r#"<?xml version="1.1"?>"#, "a version other than 1.0"),
        (r#"<?xml version="1.1" encoding="UTF-8"?>"#, "a version other than 1.0"),
        (r#"<?xml encoding="UTF-8"?>"#, "a version other than 1.0"),
        (r#"<?xml version="1.0" encoding="UTF-16"?>"#, "an encoding other than UTF-8"),
        (r#"<?xml version="1.0" encoding="ISO-8859-1"?>"#, "an encoding other than UTF-8"),
        (r#"<?xml version="1.0" encoding="UTF-7"?>"#, "an encoding other than UTF-8"),
        (r#"<?xml version="1.0" encoding=""?>"#, "an encoding other than UTF-8"),
        (r#"<?xml version="1.0"encoding="UTF-8"?>"#, "a broken XML declaration"),
        (r#"<?xml version="1.0" standalone="maybe"?>"#, "a broken XML declaration"),
        (r#"<?xml version="1.0" standalone="yes" encoding="UTF-8"?>"#, "a broken XML declaration"),
        (r#"<?xml version="1.0" a="b"?>"#, "a broken XML declaration"),
        (r#" <?xml version="1.0"?>"#, "an XML declaration that is not at the start"),
        (r#"<?XML version="1.0"?>"#, "an XML declaration that is not at the start"),
        (r#"<?xml version="1.0"?><?xml version="1.0"?>"#, "an XML declaration that is not at the start"),
        ("\u{FEFF}\u{FEFF}", "text outside of the root element"),
    ] {
        assert_eq!(not_cpix(declared(declaration).as_bytes()), fault, "{declaration}");
    }
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for content in [
        "<",
        "<a",
        "<a>",
        "</a>",
        "<a></b>",
        "<a></A>",
        "<a/",
        "<a / >",
        "< a/>",
        "<a></ a>",
        "<1a/>",
        "<-a/>",
        "<a b/>",
        "<a b=/>",
        "<a b=c/>",
        "<a b=\"c/>",
        "<a b='c\"/>",
        "<a b=\"<\"/>",
        "<a b=\"1\"c=\"2\"/>",
        "<a b=\"1\" b=\"2\"/>",
        "&",
        "&a;",
        "&nbsp;",
        "&#0;",
        "&#x1;",
        "<a b=\"&\"/>",
        "<a b=\"&c;\"/>",
        "]]>",
        "<![CDATA[",
        "<![cdata[]]>",
        "<!-- -- -->",
        "<!-- --->",
        "<!--",
        "<!-->",
        "<?",
        "<?a",
        "<? a?>",
        "<?a:b?>",
        "<?a+?>",
        "<?xml?>",
        "<?xMl a?>",
        "<!ELEMENT a ANY>",
        "<!a>",
        "\u{0}",
        "\u{8}",
        "\u{B}",
        "\u{FFFF}",
        "<a b=\"\u{1}\"/>",
        "<a\u{A0}/>",
        "<a\u{2028}b=''/>",
        "<a:/>",
        "<:a/>",
        "<a:b:c xmlns:a='urn:a'/>",
        "<a b:c:d='' xmlns:b='urn:b'/>",
    ] {
        not_cpix(inside(content).as_bytes());
    }
    for document in [
        String::new(),
        " ".into(),
        "x".into(),
        format!("x{PLAIN}"),
        format!("{PLAIN}x"),
        format!("{PLAIN}{PLAIN}"),
        format!("{PLAIN}&#32;"),
        format!("<![CDATA[]]>{PLAIN}"),
        format!("{PLAIN}<![CDATA[ ]]>"),
        PLAIN[..PLAIN.len() - 1].into(),
        format!("{PLAIN}\0"),
    ] {
        not_cpix(document.as_bytes());
    }
}

#[test]
fn namespaces_are_well_formed_too() {
    for content in [
        "<a:b/>",
        "<a b:c=''/>",
        "<a:b><c xmlns:a='urn:a'/></a:b>",
        "<a xmlns:b='urn:b'/><b:c/>",
        "<a xmlns:b=''/>",
        "<a xmlns:xml='urn:a'/>",
        "<a xmlns:b='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xmlns='urn:a'/>",
        "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns:b='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<xmlns:a/>",
        "<a b:d='' c:d='' xmlns:b='urn:1' xmlns:c='urn:1'/>",
        "<a xmlns:b='urn:1' xmlns:b='urn:2'/>",
        "<a xmlns='urn:1' xmlns='urn:1'/>",
        "<a xml:lang='' xml:lang=''/>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
    ] {
        not_cpix(inside(content).as_bytes());
    }
    for content in [
        "<a b:d='' d='' xmlns:b='urn:dashif:org:cpix'/>",
        "<xml:a/>",
        "<a xmlns=''><b xmlns=''/></a>",
        "<xmlfoo:a xmlns:xmlfoo='urn:x'/>",
        "<a:b xmlns:a='urn:a'><a:c/></a:b>",
    ] {
        assert!(Document::parse(inside(content).as_bytes()).is_ok(), "{content}");
    }
}
