//! A strict reader of our own pages: tags must balance and be of a list, attributes too, and nothing that HTML would
//! read otherwise may stand in text. Stricter than any browser, so that nothing depends on how one mends mistakes.

#![allow(dead_code)] // each test uses a part

/// Every element that a page may have; those of the second list have no content.
const ELEMENTS: [&str; 56] = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "script",
    "body",
    "header",
    "footer",
    "nav",
    "section",
    "h1",
    "h2",
    "h3",
    "p",
    "a",
    "b",
    "i",
    "u",
    "em",
    "strong",
    "small",
    "span",
    "code",
    "pre",
    "cite",
    "del",
    "ins",
    "ol",
    "ul",
    "li",
    "dl",
    "dt",
    "dd",
    "div",
    "details",
    "summary",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "figure",
    "figcaption",
    "svg",
    "text",
    "circle",
    "form",
    "label",
    "select",
    "option",
    "button",
    "output",
    "input",
    "template",
];
const VOID: [&str; 4] = ["meta", "input", "br", "line"];

/// In these only what belongs into a line may stand.
const INLINE: [&str; 10] = ["p", "a", "b", "i", "code", "cite", "small", "span", "dt", "label"];
const BLOCKS: [&str; 14] =
    ["p", "div", "ol", "ul", "dl", "table", "details", "section", "pre", "figure", "form", "header", "footer", "h2"];

const ATTRIBUTES: [&str; 36] = [
    "lang",
    "charset",
    "http-equiv",
    "content",
    "name",
    "class",
    "id",
    "href",
    "role",
    "aria-label",
    "aria-describedby",
    "aria-labelledby",
    "aria-live",
    "aria-pressed",
    "tabindex",
    "open",
    "hidden",
    "scope",
    "value",
    "type",
    "autocomplete",
    "spellcheck",
    "placeholder",
    "viewbox",
    "text-anchor",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "cx",
    "cy",
    "r",
    "data-conn",
    "data-ink",
];

/// What a page is made of.
#[derive(Debug, Default)]
pub struct Page {
    /// The elements in their order, each with its attributes: `li#e1.client`.
    pub elements: Vec<String>,
    /// The text, without style and script, its five entities read.
    pub text: String,
    /// The contents of the style and of the script.
    pub raw: Vec<String>,
    /// Elements that are still open where it ends.
    pub open: Vec<String>,
}

/// Reads a page; panics where it is not as it should be.
pub fn read(page: &str) -> Page {
    let mut found = Page::default();
    let mut rest = page.strip_prefix("<!doctype html>\n").expect("a page begins so");
    while let Some(at) = rest.find('<') {
        words(&mut found, &rest[..at]);
        rest = &rest[at + 1..];
        let Some(end) = rest.find('>') else { break };
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let open = found.open.pop();
            assert_eq!(open.as_deref(), Some(name), "closed in its turn, before: {}", start(rest));
            continue;
        }
        let name = begin(&mut found, tag, rest);
        if ["style", "script"].contains(&name.as_str()) {
            let close = format!("</{name}>");
            let end = rest.find(&close).expect("it ends");
            found.raw.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
    }
    words(&mut found, rest);
    found
}

fn begin(found: &mut Page, tag: &str, rest: &str) -> String {
    let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
    let closed = attributes.ends_with('/');
    attributes = attributes.strip_suffix('/').unwrap_or(attributes);
    assert!(ELEMENTS.contains(&name) || VOID.contains(&name), "<{tag}> before: {}", start(rest));
    for outer in &found.open {
        let apart = !(INLINE.contains(&outer.as_str()) && BLOCKS.contains(&name));
        assert!(apart, "<{tag}> inside {outer}, before: {}", start(rest));
    }
    let mut said = name.to_owned();
    while !attributes.trim_start().is_empty() {
        attributes = attributes.trim_start();
        let end = attributes.find([' ', '=']).unwrap_or(attributes.len());
        let attribute = attributes[..end].to_lowercase();
        assert!(ATTRIBUTES.contains(&attribute.as_str()), "the attribute {attribute:?} of <{tag}>");
        attributes = &attributes[end..];
        let mut value = "";
        if let Some(after) = attributes.strip_prefix('=') {
            let (is, left) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').expect("the quotes are closed"),
                None => after.split_at(after.find(' ').unwrap_or(after.len())),
            };
            assert!(!is.contains(['<', '>', '"']), "{attribute}={is}");
            (value, attributes) = (is, left);
        }
        if attribute == "href" {
            assert!(value.starts_with('#'), "a link leaves the page: {value}");
        }
        said += &format!(" {attribute}={value}");
    }
    if !VOID.contains(&name) && !closed {
        found.open.push(name.to_owned());
    }
    found.elements.push(said);
    name.to_owned()
}

fn words(found: &mut Page, text: &str) {
    let odd = text.find(|c: char| c == '>' || (c.is_control() && c != '\n'));
    assert!(odd.is_none(), "in text: {:?}", start(&text[odd.unwrap_or(0)..]));
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        found.text.push_str(&rest[..at]);
        let entities = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#39;", '\'')];
        let entity = entities.into_iter().find(|(name, _)| rest[at..].starts_with(name));
        let (name, means) = entity.unwrap_or_else(|| panic!("an entity: {:?}", start(&rest[at..])));
        found.text.push(means);
        rest = &rest[at + name.len()..];
    }
    found.text.push_str(rest);
}

fn start(text: &str) -> String {
    text.chars().take(120).collect()
}
