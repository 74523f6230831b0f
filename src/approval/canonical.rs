//! The canonical form of what is signed: JSON without blanks, its keys in order at every depth. Whoever has a matter as the
//! API shows it makes the same bytes of it, and needs nothing else to check its signatures.

use serde_json::Value;

use super::{Act, Matter};
use crate::{
    access::{provider::Provider, seal::is_signed},
    say,
    text::{hex, quoted},
};

/// A value in its canonical form.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            text.push('{');
            for (at, (name, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// The digest of a text, in hexadecimal.
pub(super) fn digest(text: &str, by: &'static dyn Provider) -> Result<String, String> {
    let bytes = by.digest(text.as_bytes()).map_err(|why| why.to_string())?;
    Ok(hex(&bytes))
}

/// Checks a matter by itself: that its content has its digest, that each act is signed and follows the one before, that
/// nobody approved what they proposed, and nobody twice. With `key`, that this key signed all of it. Which key it was.
///
/// # Errors
/// What does not hold, in words.
pub fn check_signed(matter: &Matter, key: Option<&str>) -> Result<String, String> {
    let mut signed_by = String::new();
    let mut before = String::new();
    let mut approved: Vec<&str> = Vec::new();
    if matter.acts.is_empty() {
        return Err(say!("nobody has done anything with it, so nobody has signed it"));
    }
    let by = matter.algorithms(None);
    if digest(&matter.header(), by)? != matter.digest {
        return Err(say!("its content is not the one that was proposed: its digest is another one"));
    }
    for (number, act) in (1..).zip(&matter.acts) {
        if key.is_some_and(|key| key != act.key) {
            return Err(say!("act {number} is signed by another key, {key}", number, key = act.key));
        }
        let message = act.message(&matter.digest, &before);
        if act.key.is_empty() || !is_signed(&act.key, message.as_bytes(), &act.signature) {
            let who = quoted(&act.who);
            return Err(say!(
                "the signature of act {number}, by {who}, is not of what stands there",
                number,
                who
            ));
        }
        let own = act.verb == super::Verb::Approve
            && (act.who == matter.proposed_by || approved.contains(&act.who.as_str()));
        if own {
            return Err(say!("{who} approved what is their own, or approved twice", who = quoted(&act.who)));
        }
        if act.verb == super::Verb::Approve {
            approved.push(&act.who);
        }
        before = digest(&message, by)?;
        signed_by.clone_from(&act.key);
    }
    if matter.was_approved() && !is_enough(matter) {
        return Err(say!("it counts as approved, and too few people have approved it"));
    }
    Ok(signed_by)
}

fn is_enough(matter: &Matter) -> bool {
    let people: Vec<&Act> = matter.approvals().collect();
    super::missing(&matter.needed, &people.iter().map(|act| act.roles.as_slice()).collect::<Vec<_>>())
        .is_empty()
}
