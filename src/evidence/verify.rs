//! A pack is checked, from its bytes alone: the container, every digest, the signature; and the findings are made again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    BALANCES, EVENTS, EVENTS_MAX, FINDINGS, FORMAT, MANIFEST, RECIPE, RULE, again,
    again::Around,
    archive::{self, Files},
    pack::{PackManifest, difference, list_file},
    recipe::{Recipe, RowsByList},
    seal,
};
use crate::{finding::Finding, say};

/// What was found out about a pack.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PackReport {
    /// The public key of its signature, in hexadecimal.
    pub key: Option<String>,
    /// What it says of itself; nothing of it is proven while there are problems.
    pub facts: Option<PackManifest>,
    pub files: usize,
    /// The findings that were made again and are the same.
    pub same: Vec<String>,
    /// Those that the pack does not claim to make again, each with why.
    pub not_made_again: BTreeMap<String, String>,
    pub problems: Vec<String>,
}

/// Checks a pack. With `trusted` keys it must be signed by one of them.
pub(crate) fn verify(bytes: &[u8], trusted: &[String]) -> PackReport {
    if bytes.len() > archive::BYTES_MAX + archive::FILES_MAX * 512 {
        let problem = say!("the pack is larger than {mib} MiB", mib = archive::BYTES_MAX >> 20);
        return PackReport { problems: vec![problem], ..PackReport::default() };
    }
    // What is wrong with a pack is told place by place; of another file that would say nothing.
    if !bytes.starts_with(b"PK") {
        return PackReport { problems: vec![say!("this is no evidence pack")], ..PackReport::default() };
    }
    let opened = archive::read(bytes);
    check(&opened.files, opened.problems, trusted)
}

/// Checks the files of a pack that somebody unpacked.
pub(crate) fn check(files: &Files, mut problems: Vec<String>, trusted: &[String]) -> PackReport {
    problems.extend(seal::problems(files, trusted));
    let mut report =
        PackReport { key: seal::signer(files), files: files.len(), problems, ..PackReport::default() };
    match json::<PackManifest>(files, MANIFEST) {
        Ok(facts) if facts.format == FORMAT => report.facts = Some(facts),
        Ok(facts) => {
            let problem =
                say!("the pack is of the form {form}, which this version does not read", form = facts.format);
            report.problems.push(problem);
        }
        Err(why) => report.problems.push(why),
    }
    // What is damaged is not run.
    if let Some(facts) = report.facts.clone().filter(|_| report.problems.is_empty())
        && let Err(why) = make_again(files, &facts, &mut report)
    {
        report.problems.push(why);
    }
    report
}

fn make_again(files: &Files, facts: &PackManifest, report: &mut PackReport) -> Result<(), String> {
    let findings: Vec<Finding> = lines(files, FINDINGS)?;
    let recipe: Recipe = json(files, RECIPE)?;
    let events = Bytes::from(file(files, EVENTS)?.to_vec());
    if memchr::memchr_iter(b'\n', &events).count() > EVENTS_MAX {
        return Err(say!("the pack has more than {most} events", most = EVENTS_MAX));
    }
    if recipe.rule_id != facts.rule_id || findings.iter().any(|finding| finding.rule_id != facts.rule_id) {
        return Err(say!("the findings, the recipe and the manifest are not of one rule"));
    }
    let of: Vec<&str> = findings.iter().filter_map(|finding| finding.event_id.as_deref()).collect();
    let stated: Vec<Around> = lines(files, BALANCES)?;
    if !facts.masked && again::balances(&recipe, &events, &of)? != stated {
        report.problems.push(say!("{name} is not what the events give", name = BALANCES));
    }
    report.not_made_again.clone_from(&facts.not_made_again);
    let claimed: BTreeSet<&str> = facts.made_again.iter().map(String::as_str).collect();
    if claimed.is_empty() {
        return Ok(());
    }
    let mut rows = RowsByList::new();
    for name in recipe.lists.keys() {
        rows.insert(name.clone(), lines(files, &list_file(name))?);
    }
    let rules = recipe.rules(text(files, RULE)?, rows)?;
    let made = again::findings(&recipe, &rules, &events)?;
    for id in claimed {
        let finding = findings.iter().find(|finding| finding.finding_id == id);
        let why = match finding {
            None => Some(say!("it is not in {name}", name = FINDINGS)),
            Some(finding) => difference(finding, made.get(id)),
        };
        match why {
            None => report.same.push(id.to_owned()),
            Some(why) => report.problems.push(say!("the finding {id}: {why}", id, why)),
        }
    }
    Ok(())
}

fn file<'f>(files: &'f Files, name: &str) -> Result<&'f [u8], String> {
    files.get(name).map(Vec::as_slice).ok_or_else(|| say!("{name} is missing", name))
}

fn text<'f>(files: &'f Files, name: &str) -> Result<&'f str, String> {
    std::str::from_utf8(file(files, name)?).map_err(|_| say!("{name} is no text", name))
}

fn json<T: DeserializeOwned>(files: &Files, name: &str) -> Result<T, String> {
    serde_json::from_slice(file(files, name)?).map_err(|why| say!("{name} cannot be read: {why}", name, why))
}

fn lines<T: DeserializeOwned>(files: &Files, name: &str) -> Result<Vec<T>, String> {
    let unread = |why| say!("{name} cannot be read: {why}", name, why);
    text(files, name)?.lines().map(|line| serde_json::from_str(line).map_err(unread)).collect()
}
