//! 附件: what files of cases may be. Their content decides what they are, never their name or what a browser says.

use crate::say;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// PDF
    Pdf,
    /// PNG
    Png,
    /// JPEG
    Jpeg,
    /// A Word document.
    Docx,
    /// An Excel workbook.
    Xlsx,
    /// OFD, 版式文档 (GB/T 33190).
    Ofd,
    /// Lines of text.
    Text,
}

/// The bytes that decide what a file is.
pub const HEAD: usize = 64 << 10;
/// The longest name that is kept, in characters.
const NAME_MAX: usize = 120;

impl FileKind {
    /// All of them: what is stored and shown, and the media type that a download has.
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Pdf, "pdf", "application/pdf"),
        (Self::Png, "png", "image/png"),
        (Self::Jpeg, "jpeg", "image/jpeg"),
        (Self::Docx, "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (Self::Xlsx, "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (Self::Ofd, "ofd", "application/ofd"),
        (Self::Text, "text", "text/plain; charset=utf-8"),
    ];

    /// Its word in the store and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, word, _)| word)
    }

    /// The media type of a word in the store.
    #[must_use]
    pub fn media(word: &str) -> &'static str {
        let known = Self::ALL.iter().find(|(_, known, _)| *known == word);
        known.map_or("application/octet-stream", |(.., media)| media)
    }

    /// What a file is by its first bytes, [`HEAD`] of them if it has so many. `whole` says that these are all.
    ///
    /// # Errors
    /// If that is nothing that a case takes.
    pub fn of(head: &[u8], whole: bool) -> Result<Self, String> {
        let wrong = || {
            say!(
                "this is none of the files that are taken: PDF, OFD, Word (.docx), Excel (.xlsx), PNG, JPEG, or text (.txt, .csv)"
            )
        };
        if head.is_empty() {
            return Err(say!("the file is empty"));
        }
        let begins = |magic: &[u8]| head.starts_with(magic);
        if begins(b"%PDF-") {
            return Ok(Self::Pdf);
        }
        if begins(b"\x89PNG\r\n\x1a\n") {
            return Ok(Self::Png);
        }
        if begins(b"\xff\xd8\xff") {
            return Ok(Self::Jpeg);
        }
        if begins(b"PK\x03\x04") {
            return package(head).ok_or_else(wrong);
        }
        is_text(head, whole).then_some(Self::Text).ok_or_else(wrong)
    }
}

/// What a ZIP archive is, by the names of its first parts. One with macros is none.
fn package(head: &[u8]) -> Option<FileKind> {
    let has = |name: &[u8]| head.windows(name.len()).any(|part| part == name);
    if has(b"vbaProject") {
        return None;
    }
    // An archive names a part before its content, 30 bytes behind `PK`.
    let first = head.get(30..)?;
    match () {
        () if first.starts_with(b"OFD.xml") || has(b"OFD.xml") => Some(FileKind::Ofd),
        () if !has(b"[Content_Types].xml") => None,
        () if has(b"word/") => Some(FileKind::Docx),
        () if has(b"xl/") => Some(FileKind::Xlsx),
        () => None,
    }
}

/// Whether it reads as text: UTF-8, or GB 18030 as Windows writes it, without anything that steers; and no page or script.
fn is_text(head: &[u8], whole: bool) -> bool {
    let steers = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t') || *byte == 0x7f;
    if head.iter().any(steers) {
        return false;
    }
    let begin: Vec<u8> =
        head.iter().skip_while(|b| b.is_ascii_whitespace() || **b >= 0xef).take(64).copied().collect();
    if begin.starts_with(b"<") || begin.starts_with(b"#!") || begin.starts_with(b"{\\rtf") {
        return false;
    }
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last character may go on behind the head.
        Err(error) => !whole && error.error_len().is_none(),
    };
    let (_, malformed) = encoding_rs::GB18030
        .decode_without_bom_handling(&head[..head.len().saturating_sub(if whole { 0 } else { 3 })]);
    is_utf8 || !malformed
}

/// The name of a file as it is kept: without folders, controls, and what hides its end; never empty.
#[must_use]
pub fn name(text: &str) -> String {
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let hides = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '"' | '<' | '>' | '|' | ':' | '*' | '?')
    };
    let kept: String = last.chars().filter(|c| !hides(c)).collect();
    let kept = kept.trim().trim_start_matches('.');
    let length = kept.chars().count();
    // The end is what tells the type to people.
    match length {
        0 => String::from("file"),
        _ => kept.chars().skip(length.saturating_sub(NAME_MAX)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(names: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for name in names {
            bytes.extend_from_slice(b"PK\x03\x04");
            bytes.extend_from_slice(&[20; 22]);
            bytes.extend_from_slice(&[name.len().try_into().unwrap(), 0, 0, 0]);
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b"content");
        }
        bytes
    }

    #[test]
    fn content_decides_what_a_file_is() {
        let of = |bytes: &[u8]| FileKind::of(bytes, true).ok();
        assert_eq!(of(b"%PDF-1.7\n"), Some(FileKind::Pdf));
        assert_eq!(of(b"\x89PNG\r\n\x1a\n...."), Some(FileKind::Png));
        assert_eq!(of(b"\xff\xd8\xff\xe0"), Some(FileKind::Jpeg));
        assert_eq!(of(&zip(&["[Content_Types].xml", "word/document.xml"])), Some(FileKind::Docx));
        assert_eq!(of(&zip(&["[Content_Types].xml", "xl/workbook.xml"])), Some(FileKind::Xlsx));
        assert_eq!(of(&zip(&["OFD.xml", "Doc_0/Document.xml"])), Some(FileKind::Ofd));
        assert_eq!(of("凭证号,金额\n1,2.00\n".as_bytes()), Some(FileKind::Text));
        assert_eq!(of(&encoding_rs::GB18030.encode("说明：合同见附件").0), Some(FileKind::Text));
        for wrong in [
            &b"MZ\x90\x00"[..],
            b"\x7fELF",
            b"#!/bin/sh\n",
            b"<html><script>",
            b" \n<svg onload=x>",
            b"",
            &zip(&["run.exe"]),
            &zip(&["[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"]),
            b"{\\rtf1",
            b"abc\x00def",
        ] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_character_may_go_on_behind_the_head() {
        let text = "合同".repeat(HEAD);
        assert_eq!(FileKind::of(&text.as_bytes()[..HEAD], false), Ok(FileKind::Text));
    }

    #[test]
    fn a_name_is_a_name_alone() {
        assert_eq!(name("../../etc/passwd"), "passwd");
        assert_eq!(name("C:\\照片\\发票.pdf"), "发票.pdf");
        assert_eq!(name("a\u{202e}fdp.exe\r\n"), "afdp.exe");
        assert_eq!(name("..."), "file");
        assert_eq!(name(&format!("{}.pdf", "x".repeat(500))).chars().count(), NAME_MAX);
    }
}
