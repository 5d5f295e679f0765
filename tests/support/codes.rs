//! The codes, their HTTP statuses and messages, written down once more apart from the crate's own table: clients depend on them to
//! the letter.

/// Every code, without `MDRM-`.
pub fn all() -> Vec<u16> {
    let rows = include_str!("../codes.tsv").lines().skip(1);
    rows.map(|row| row["MDRM-".len()..].split('\t').next().unwrap().parse().unwrap()).collect()
}

/// HTTP status and message of a code, which is given without `MDRM-`.
pub fn status_and_message(code: u16) -> (u16, &'static str) {
    let rows = include_str!("../codes.tsv").lines().skip(1);
    let mut rows = rows.map(|row| row.splitn(3, '\t').collect::<Vec<_>>());
    let row = rows.find(|row| row[0] == format!("MDRM-{code}")).expect("a code of the table");
    (row[1].parse().unwrap(), row[2])
}
