//! What the page says by which units answer, in the reader's language, whatever the daemon speaks; and its HTML.

use axum::{
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{alert::HistoryEntry, event::time::Calendar, store::LinkError, text::Language};

/// What the page may load: its own style, and nothing else. Browsers name the page of a form that is sent, and a page
/// without a referrer would be nobody's.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
];

/// One text in both languages.
pub(super) type Both = (&'static str, &'static str);

const TITLE: Both = ("书面说明", "Written explanation");
const REFUSED: Both = ("未能受理", "Not accepted");
const SENT: Both = ("已收到", "Received");
const TEXT: Both = ("情况说明", "Explanation");
const NAME: Both = ("填写人（选填）", "Your name (optional)");
const FILES: Both = ("附件（选填，可多选）", "Files (optional, several at once)");
const SEND: Both = ("提交", "Send");
const ANSWERS: Both = ("已提交的答复", "What was sent so far");
const BACK: Both = ("返回", "Back");
const KEEP: Both = (
    "本页无需账号，仅供收件单位使用，请勿转发链接。",
    "This page needs no account. It is for the unit that got the letter; do not pass its link on.",
);
const ONCE: Both =
    ("提交后不能修改，可以再次提交补充。", "What was sent cannot be changed; you can send more.");
const UNKNOWN: Both =
    ("链接无效。请从来函中完整打开链接。", "This link is not known. Open it from the letter again, whole.");
const ENDED: Both = (
    "链接已收回，或者新的来函附有新的链接。",
    "This link was taken back, or a newer letter has another one.",
);
const EXPIRED: Both = (
    "链接已过期。请以邮件回复来函，或者联系来函单位重新发函。",
    "This link has expired. Answer the letter by mail, or ask for a new one.",
);
const OVER: Both = ("该事项已办结，无需再答复。", "This matter is closed; no answer is needed any more.");
const FLOOD: Both = (
    "提交次数过多。请稍后再提交，或者以邮件回复来函。",
    "Too many answers were sent by this link. Send the next one later, or answer the letter by mail.",
);
pub(super) const BUSY: Both =
    ("正在上传的人较多，请一分钟后再试。", "Too many uploads are under way; try again in a minute.");
pub(super) const BROKEN: Both =
    ("上传中断，未保存任何内容，请重新提交。", "The upload broke off and nothing was kept; send it again.");
pub(super) const NO_LENGTH: Both = (
    "浏览器没有说明上传内容的大小，不能受理。",
    "The browser did not say how long the upload is; it is not taken.",
);
pub(super) const NO_FORM: Both =
    ("提交的内容不是本页的表单。", "What was sent is not the form of this page.");
pub(super) const TYPE: Both = (
    "只接收 PDF、OFD、Word（.docx）、Excel（.xlsx）、PNG、JPEG 和文本（.txt、.csv）文件；按内容而不是文件名判断。未保存任何内容。",
    "Only PDF, OFD, Word (.docx), Excel (.xlsx), PNG, JPEG and text (.txt, .csv) are taken, by their content and not their name. Nothing was kept.",
);
pub(super) const EMPTY: Both = ("请填写说明或者添加附件。", "Write an explanation, or add a file.");
pub(super) const LONG: Both =
    ("说明最多 4000 字，填写人最多 40 字。", "An explanation has 4,000 characters at most, and a name 40.");

/// The text in a language.
pub(super) fn of(both: Both, language: Language) -> &'static str {
    match language {
        Language::Zh => both.0,
        Language::En => both.1,
    }
}

/// What is said of files that are too large or too many.
pub(super) fn too_large(language: Language, (file, case, files): (u64, u64, u32)) -> String {
    match language {
        Language::Zh => format!(
            "上传内容过大：每个文件不超过 {file} MiB，本事项共不超过 {files} 个文件、{case} MiB。其余材料请以邮件回复。未保存任何内容。"
        ),
        Language::En => format!(
            "That is too large: a file has {file} MiB at most, and this matter {files} files with {case} MiB together. Send the rest by mail. Nothing was kept."
        ),
    }
}

/// The status and the words for a link that leads nowhere.
pub(super) fn refusal(error: &LinkError, language: Language) -> (StatusCode, String) {
    let said = |status, both| (status, of(both, language).to_owned());
    match error {
        LinkError::Unknown => said(StatusCode::NOT_FOUND, UNKNOWN),
        LinkError::Ended => said(StatusCode::GONE, ENDED),
        LinkError::Expired => said(StatusCode::GONE, EXPIRED),
        LinkError::Over => said(StatusCode::GONE, OVER),
        LinkError::Flood => said(StatusCode::TOO_MANY_REQUESTS, FLOOD),
        LinkError::Case(error) => {
            let problem = match error {
                crate::store::CaseError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
                crate::store::CaseError::NotFound(_) => StatusCode::NOT_FOUND,
                crate::store::CaseError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            (problem, error.to_string())
        }
    }
}

pub(super) fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut html, c| {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
        html
    })
}

fn page(status: StatusCode, language: Language, (token, body): (&str, &str)) -> Response {
    let (code, other, name) = match language {
        Language::Zh => ("zh-CN", "en", "English"),
        Language::En => ("en", "zh", "中文"),
    };
    let title = of(TITLE, language);
    let html = format!(
        "<!doctype html>\n<html lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"/answer.css\">\n</head>\n<body>\n<main>\n\
         <header><h1>{title}</h1><a href=\"/answer/{token}?lang={other}\" lang=\"{other}\">{name}</a></header>\n{body}</main>\n</body>\n</html>\n",
        token = escaped(token),
    );
    (status, HEADERS, html).into_response()
}

/// A page that refuses.
pub(super) fn refused(status: StatusCode, language: Language, (token, why): (&str, &str)) -> Response {
    let back = match status {
        // There is nothing to go back to.
        StatusCode::NOT_FOUND | StatusCode::GONE => String::new(),
        _ => format!(
            "<p><a href=\"/answer/{}?lang={}\">{}</a></p>\n",
            escaped(token),
            language.word(),
            of(BACK, language)
        ),
    };
    let body = format!(
        "<section class=\"wrong\" role=\"alert\">\n<h2>{}</h2>\n<p>{}</p>\n{back}</section>\n",
        of(REFUSED, language),
        escaped(why)
    );
    page(status, language, (token, &body))
}

/// What was answered so far.
fn sent(answers: &[HistoryEntry], calendar: &Calendar, language: Language) -> String {
    if answers.is_empty() {
        return String::new();
    }
    let files = |change: &HistoryEntry| {
        let row = |file: &crate::alert::FileFact| {
            format!("<br>{} <code>SHA-256 {}</code>", escaped(&file.name), escaped(&file.sha256))
        };
        change.facts.files.iter().map(row).collect::<String>()
    };
    let rows = answers.iter().map(|change| {
        let time = calendar.format(change.at).chars().take(19).collect::<String>().replace('T', " ");
        format!("<li>{}{}</li>\n", escaped(&time), files(change))
    });
    format!(
        "<section><h2>{}</h2>\n<ul>\n{}</ul>\n</section>\n",
        of(ANSWERS, language),
        rows.collect::<String>()
    )
}

/// The page with the letter and the form.
pub(super) fn form(
    (token, letter): (&str, &str),
    (answers, calendar): (&[HistoryEntry], &Calendar),
    is_done: bool,
    hint: &str,
    language: Language,
) -> Response {
    let done = match is_done && !answers.is_empty() {
        true => {
            format!("<section class=\"done\" role=\"status\"><h2>{}</h2></section>\n", of(SENT, language))
        }
        false => String::new(),
    };
    let say = |both| of(both, language);
    let body = format!(
        "{done}<section class=\"letter\">{letter}</section>\n{sent}\
         <form method=\"post\" enctype=\"multipart/form-data\" action=\"/answer/{token}?lang={lang}\">\n\
         <label for=\"text\">{text}</label>\n<textarea id=\"text\" name=\"text\" rows=\"8\" maxlength=\"4000\"></textarea>\n\
         <label for=\"name\">{name}</label>\n<input id=\"name\" name=\"name\" maxlength=\"40\" autocomplete=\"name\">\n\
         <label for=\"files\">{files}</label>\n<input id=\"files\" name=\"files\" type=\"file\" multiple accept=\".pdf,.ofd,.docx,.xlsx,.png,.jpg,.jpeg,.txt,.csv\">\n\
         <p class=\"hint\">{hint}</p>\n<p class=\"hint\">{once} {keep}</p>\n<button type=\"submit\">{send}</button>\n</form>\n",
        letter = escaped(letter.trim()),
        sent = sent(answers, calendar, language),
        token = escaped(token),
        lang = language.word(),
        text = say(TEXT),
        name = say(NAME),
        files = say(FILES),
        once = say(ONCE),
        keep = say(KEEP),
        send = say(SEND),
        hint = escaped(hint),
    );
    page(StatusCode::OK, language, (token, &body))
}

/// What files are taken, for the form.
pub(super) fn hint(language: Language, (file, case, files): (u64, u64, u32)) -> String {
    match language {
        Language::Zh => format!(
            "接收 PDF、OFD、Word、Excel、PNG、JPEG、文本；每个文件不超过 {file} MiB，共不超过 {files} 个文件、{case} MiB。"
        ),
        Language::En => format!(
            "PDF, OFD, Word, Excel, PNG, JPEG and text; {file} MiB a file, {files} files and {case} MiB together at most."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_somebody_writes_becomes_part_of_the_page() {
        assert_eq!(escaped("<script>'\"&"), "&lt;script&gt;&#39;&quot;&amp;");
    }
}
