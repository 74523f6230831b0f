//! 公开 as a page: charts and tables of what is published, in one file that asks nothing of a server and runs no script. What is
//! left out of the files is left out of it too: it is made of the same rows.

use std::fmt::Write as _;

use super::Figures;
use crate::{event::Cents, say, text};

/// A row of the page: its code and name, and its figures unless they are left out.
#[derive(Debug)]
pub(crate) struct PageRow<'r> {
    pub code: &'r str,
    pub name: &'r str,
    pub figures: Option<Figures>,
}

/// How the page looks; it prints well, and fits a phone.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;color:#1a1f26;background:#fff;max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid #d5dae0;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.place{overflow-x:auto}.bar{display:block;height:.6rem;background:#e8ecf1;min-width:6rem}.bar i{display:block;height:100%;background:#1f5f9e}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:#4a5560}dd{margin:0;font-variant-numeric:tabular-nums}
@media(max-width:30rem){td.b,th.b{display:none}}@media print{body{max-width:none}}";

/// The page of a year.
pub(crate) fn page(
    (year, currency): (i32, &str),
    sum: &Figures,
    (units, classes): (&[PageRow<'_>], &[PageRow<'_>]),
    files: &[&str],
) -> String {
    let language = text::spoken().word();
    let title = say!("Settlement of the budget of {year}", year);
    let mut html = String::new();
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"{language}\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n<main>\n<h1>{title}</h1>\n",
        title = safe(&title)
    );
    let _ = writeln!(html, "<dl>");
    for (name, cents) in [
        (say!("budget as adjusted"), sum.total),
        (say!("executed"), sum.executed),
        (say!("balance"), sum.balance),
    ] {
        let _ = writeln!(html, "<dt>{}</dt><dd>{} {}</dd>", safe(&name), cents, safe(currency));
    }
    let _ = writeln!(html, "</dl>");
    table(&mut html, &say!("By unit"), units);
    table(&mut html, &say!("By economic class"), classes);
    let left_out = units.iter().chain(classes).any(|row| row.figures.is_none());
    if left_out {
        let told = say!("— is left out, so that nobody can tell what a person got");
        let _ = writeln!(html, "<p>{}</p>", safe(&told));
    }
    let _ = writeln!(html, "<h2>{}</h2>\n<ul>", safe(&say!("Files")));
    for file in files {
        let _ = writeln!(html, "<li><a href=\"{0}\">{0}</a></li>", safe(file));
    }
    html.push_str("</ul>\n</main>\n</html>\n");
    html
}

fn table(html: &mut String, title: &str, rows: &[PageRow<'_>]) {
    let most = rows.iter().filter_map(|row| row.figures.as_ref()).map(|of| of.total.max(of.executed)).max();
    let heads = [say!("code"), say!("name"), say!("budget as adjusted"), say!("executed")];
    let [code, name, total, executed] = heads.map(|head| safe(&head));
    let _ = write!(
        html,
        "<h2>{}</h2>\n<div class=\"place\"><table>\n<thead><tr><th scope=\"col\">{code}</th><th scope=\"col\">{name}</th><th scope=\"col\" class=\"n\">{total}</th><th scope=\"col\" class=\"n\">{executed}</th><th scope=\"col\" class=\"b\"></th></tr></thead>\n<tbody>\n",
        safe(title)
    );
    for row in rows {
        let (total, executed, bar) = match &row.figures {
            None => (String::from("—"), String::from("—"), String::new()),
            Some(of) => (of.total.to_string(), of.executed.to_string(), bar(of.executed, most)),
        };
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{total}</td><td class=\"n\">{executed}</td><td class=\"b\">{bar}</td></tr>",
            safe(row.code),
            safe(row.name)
        );
    }
    html.push_str("</tbody>\n</table></div>\n");
}

/// A bar of what was executed, as a share of the largest figure, in tenths of a percent.
fn bar(executed: Cents, most: Option<Cents>) -> String {
    let most = most.unwrap_or_default().as_i128().max(1);
    let share = executed.as_i128().clamp(0, most).saturating_mul(1000) / most;
    format!(
        "<span class=\"bar\" aria-hidden=\"true\"><i style=\"width:{}.{}%\"></i></span>",
        share / 10,
        share % 10
    )
}

fn safe(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_on_no_page_and_names_break_out_of_nothing() {
        let figures = Figures {
            total: Cents::new(100),
            executed: Cents::new(40),
            balance: Cents::new(60),
            ..Figures::default()
        };
        let units = [
            PageRow { code: "1", name: "<script>", figures: Some(figures) },
            PageRow { code: "2", name: "b", figures: None },
        ];
        let html = page((2025, "CNY"), &figures, (&units, &[]), &["units.csv"]);
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
        assert!(html.contains("width:40.0%") && html.matches("<td class=\"n\">—").count() == 2, "{html}");
        assert!(!html.contains("http"), "it asks nothing of anybody");
    }
}
