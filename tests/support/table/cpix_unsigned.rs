//! What stands in a signed document where nobody has signed: in the signature, and in comments.

use super::Case;
use super::cpix_documents::{P256, query, signed, signed_case, with_query};

/// The document that signxml has signed, with `new` for `old`, which occurs in it.
fn changed(old: &str, new: &str) -> String {
    let document = signed(P256);
    assert!(document.contains(old), "{old}");
    document.replacen(old, new, 1)
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, document: String| {
        signed_case(&format!("attack 74: {name}"), with_query(&query("cpix-p256"), document))
    };
    let in_key_info = |inside: &str| changed("<ds:KeyInfo>", &format!("<ds:KeyInfo>{inside}"));
    let behind = |inside: &str| changed("</ds:Signature>", &format!("{inside}</ds:Signature>"));
    let mut cases = vec![
        case("a key that is named, with a certificate", in_key_info(
            "<ds:KeyName>a &lt;name&gt;</ds:KeyName><ds:X509Data Id=\"c\">\n<ds:X509Certificate>AA&#13;\n==</ds:X509Certificate></ds:X509Data>",
        ))
        .allowed(),
        case("a key of XML-DSig 1.1", in_key_info(
            "<k:ECKeyValue xmlns:k=\"http://www.w3.org/2009/xmldsig11#\"><k:NamedCurve URI=\"urn:x\"/><k:PublicKey>AA==</k:PublicKey></k:ECKeyValue>",
        ))
        .allowed(),
        case("names of its parts", changed("<ds:Signature>", "<ds:Signature Id=\"s\" xmlns:unused=\"urn:unused\">")).allowed(),
        case("comments between elements of the document", changed("<ContentKeyList>", "<!-- a --><ContentKeyList><!-- b -->")).allowed(),
        case("a comment before and behind the document", format!("<!-- a -->{}<!-- b -->", signed(P256))).allowed(),
        case("a comment in a text is 918", changed("WADwG2qC", "WADwG2qC<!-- -->")).denied(918),
        case("a comment before a text is 918", changed("WADwG2qC", "<!-- -->WADwG2qC")).denied(918),
        case("a comment before a CDATA section is 918", changed("WADwG2qCqkq5TVml+U5PXw==", "<!-- --><![CDATA[WADwG2qCqkq5TVml+U5PXw==]]>"))
            .denied(918),
        case("another content in a wrong signature (918 before 916)", in_key_info("evil").replace("content-1", "content-2")).denied(918),
        signed_case(
            "attack 74: what nobody signed (918) before the key's type (917)",
            with_query(&query("cpix-rsa"), in_key_info("evil")),
        )
        .denied(918),
    ];
    for (name, document) in [
        ("a root of no namespace in KeyInfo", in_key_info("<CPIX xmlns=\"\" contentId=\"EVIL\"/>")),
        ("a root of CPIX in KeyInfo", in_key_info("<CPIX contentId=\"EVIL\"/>")),
        ("an encrypted key in KeyInfo", in_key_info("<e:EncryptedKey xmlns:e=\"http://www.w3.org/2001/04/xmlenc#\"/>")),
        ("text in KeyInfo", in_key_info("evil")),
        ("text as a reference in KeyInfo", in_key_info("&#x65;vil")),
        ("text in a CDATA section of KeyInfo", in_key_info("<![CDATA[evil]]>")),
        ("text in X509Data", in_key_info("<ds:X509Data>evil</ds:X509Data>")),
        ("text in an element that XML-DSig does not know", in_key_info("<ds:ContentId>evil</ds:ContentId>")),
        ("an element in a text of KeyInfo", in_key_info("<ds:KeyName>a<ds:KeyName/></ds:KeyName>")),
        ("a comment in KeyInfo", in_key_info("<!-- evil -->")),
        ("a processing instruction in KeyInfo", in_key_info("<?evil?>")),
        ("contentId on Signature", changed("<ds:Signature>", "<ds:Signature contentId=\"EVIL\">")),
        ("contentId in KeyInfo", in_key_info("<ds:KeyValue contentId=\"EVIL\"/>")),
        ("xml:lang on Signature", changed("<ds:Signature>", "<ds:Signature xml:lang=\"evil\">")),
        ("an Id in a namespace", changed("<ds:Signature>", "<ds:Signature ds:Id=\"evil\">")),
        ("an attribute of SignatureValue", changed("<ds:SignatureValue>", "<ds:SignatureValue evil=\"\">")),
        ("text behind SignatureValue", changed("</ds:SignatureValue>", "</ds:SignatureValue>evil")),
        ("a comment before SignedInfo", changed("<ds:SignedInfo>", "<!-- evil --><ds:SignedInfo>")),
        ("a comment in SignedInfo", changed("<ds:SignedInfo>", "<ds:SignedInfo><!-- evil -->")),
        ("a comment behind SignatureValue", changed("</ds:SignatureValue>", "</ds:SignatureValue><!-- evil -->")),
        ("a second KeyInfo", behind("<ds:KeyInfo/>")),
        ("an Object", behind("<ds:Object>evil</ds:Object>")),
        ("a foreign element behind KeyInfo", behind("<evil/>")),
        (
            "InclusiveNamespaces in KeyInfo",
            in_key_info(
                "<i:InclusiveNamespaces xmlns:i=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"evil\"/>",
            ),
        ),
        (
            "InclusiveNamespaces under a method that is not exclusive",
            in_key_info(
                "<ds:RetrievalMethod><ds:Transforms><ds:Transform Algorithm=\"urn:x\"><i:InclusiveNamespaces \
                 xmlns:i=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"evil\"/></ds:Transform></ds:Transforms></ds:RetrievalMethod>",
            ),
        ),
    ] {
        cases.push(case(&format!("{name} is 918"), document).denied(918));
    }
    cases
}
