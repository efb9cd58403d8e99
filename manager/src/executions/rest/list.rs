//! Lists as stock clients ask for them: filters, order, pages, fields
//! (`rest/rest_decorators.py` of cloudify-manager).

use std::{cmp::Ordering, vec};

use serde_json::{Map, Value, json};
use waggoner_store::{Page, PageRequest};

use crate::executions::{
    answers::Unanswered,
    rest::{
        reply::{Answered, Reply},
        request::Query,
        searches::Rule,
    },
};

/// How many items a page has where nobody says.
const PAGE: usize = 1000;

/// The largest page of the store.
const STORE_PAGE: u32 = 500;

/// Answers with those of the items that the query means.
pub(super) fn list(query: &Query, items: Vec<Value>) -> Answered {
    let mut chosen = Chosen::new(query);
    items.into_iter().try_for_each(|item| chosen.take(item))?;
    chosen.answer()
}

/// The rows of a list of the store, read page by page.
pub(super) struct Rows<P, T> {
    page: P,
    read: vec::IntoIter<T>,
    /// The token of the next page.
    next: Option<String>,
}

/// The items of a list that a query means, taken one by one: what is not on the page is counted and
/// let go.
#[derive(Debug)]
pub(super) struct Chosen<'q> {
    query: &'q Query,
    rules: Vec<Rule<'q>>,
    wanted: Option<String>,
    /// By which fields, and whether downwards; the first counts most.
    orders: Vec<(&'q str, bool)>,
    /// How many items come before the page, and before its end.
    from: usize,
    upto: usize,
    items: Vec<Value>,
    total: usize,
}

/// How many items are held at once at the most: some tens of megabytes.
const MOST_HELD: usize = 50_000;

// === impl Chosen ===

impl<'q> Chosen<'q> {
    pub(super) fn new(query: &'q Query) -> Self {
        Self::by(query, Vec::new())
    }

    /// The same, of those for which all of the rules hold.
    pub(super) fn by(query: &'q Query, rules: Vec<Rule<'q>>) -> Self {
        let order = |order: &'q str| match order.strip_prefix('-') {
            Some(name) => (name, true),
            None => (order.trim_start_matches('+'), false),
        };
        let upto = if query.is("_get_all_results") {
            usize::MAX
        } else {
            offset(query).saturating_add(size(query))
        };
        Self {
            query,
            rules,
            wanted: query.get("_search").map(|text| text.to_lowercase()),
            orders: query.all("_sort").map(order).collect(),
            from: offset(query),
            upto,
            items: Vec::new(),
            total: 0,
        }
    }

    pub(super) fn take(&mut self, item: Value) -> Result<(), Unanswered> {
        let holds = self.rules.iter().all(|rule| rule.holds(&item));
        if !holds || !is_wanted(self.query, &item) || !self.is_found(&item) {
            return Ok(());
        }
        if self.total == 0 {
            for (name, _) in &self.orders {
                require_field(name, &item, "bad_parameters_error")?;
            }
        }
        self.total += 1;
        if self.orders.is_empty() {
            if (self.from..self.upto).contains(&(self.total - 1)) {
                self.hold(item)?;
            }
            return Ok(());
        }
        self.hold(item)?;
        if self.items.len() > self.upto.saturating_mul(2).saturating_add(PAGE) {
            self.order();
        }
        Ok(())
    }

    fn hold(&mut self, item: Value) -> Result<(), Unanswered> {
        if self.items.len() == MOST_HELD {
            let why = format!(
                "the list has more than {MOST_HELD} items to hold at once: ask for pages, with \
                 `_size` and `_offset`, and without `_sort`"
            );
            return Err(Unanswered::invalid(&why));
        }
        self.items.push(item);
        Ok(())
    }

    /// Answers with the page.
    pub(super) fn answer(self) -> Answered {
        let (items, pagination) = self.page()?;
        Reply::ok(json!({
            "items": items,
            "metadata": { "pagination": pagination, "filtered": null },
        }))
    }

    /// Returns the page, and where it is in the whole.
    pub(super) fn page(mut self) -> Result<(Vec<Value>, Value), Unanswered> {
        self.order();
        let Self { query, orders, items, total, from, upto, .. } = self;
        // Without an order those before it were let go as they came.
        let skipped = if orders.is_empty() { 0 } else { from };
        let page = items.into_iter().take(upto).skip(skipped);
        let page = page.map(|item| included(query, item)).collect::<Result<_, _>>()?;
        Ok((page, json!({ "total": total, "size": size(query), "offset": offset(query) })))
    }

    fn is_found(&self, item: &Value) -> bool {
        let Some(wanted) = &self.wanted else { return true };
        let names = ["id", "name", "display_name", "key", "package_name", "title"];
        let text = |name| item[name].as_str().unwrap_or_default().to_lowercase();
        names.into_iter().any(|name| text(name).contains(wanted))
    }

    /// Orders what is held, and lets go what is behind the page. What is equal stays in the order
    /// in which it came.
    fn order(&mut self) {
        if self.orders.is_empty() {
            return;
        }
        self.items.sort_by(|one, other| {
            let orders = self.orders.iter().map(|(name, is_descending)| {
                let order = compared(&one[*name], &other[*name]);
                if *is_descending { order.reverse() } else { order }
            });
            orders.fold(Ordering::Equal, Ordering::then)
        });
        self.items.truncate(self.upto);
    }
}

fn offset(query: &Query) -> usize {
    query.number("_offset").unwrap_or(0)
}

fn size(query: &Query) -> usize {
    query.number("_size").unwrap_or(PAGE)
}

/// Leaves the fields that `_include` names, if it is there.
pub(super) fn included(query: &Query, item: Value) -> Result<Value, Unanswered> {
    let Some(names) = query.get("_include") else { return Ok(item) };
    let mut left = Map::new();
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        require_field(name, &item, "no_such_include_field_error")?;
        left.insert(name.to_owned(), item[name].clone());
    }
    Ok(Value::Object(left))
}

// === impl Rows ===

impl<P, F, T> Rows<P, T>
where
    P: Fn(PageRequest) -> F,
    F: Future<Output = Result<Page<T>, waggoner_store::Error>>,
{
    /// Begins before the first row; `page` reads a page.
    pub(super) fn new(page: P) -> Self {
        Self { page, read: Vec::new().into_iter(), next: Some(String::new()) }
    }

    /// Returns the next row, nothing after the last.
    pub(super) async fn next(&mut self) -> Result<Option<T>, Unanswered> {
        loop {
            if let Some(row) = self.read.next() {
                return Ok(Some(row));
            }
            let Some(token) = self.next.take() else { return Ok(None) };
            let read = (self.page)(PageRequest::new(STORE_PAGE, token)).await?;
            self.read = read.items.into_iter();
            self.next = read.next;
        }
    }
}

/// Reads all rows of a list of the store.
pub(super) async fn all<T, F>(page: impl Fn(PageRequest) -> F) -> Result<Vec<T>, Unanswered>
where
    F: Future<Output = Result<Page<T>, waggoner_store::Error>>,
{
    let (mut rows, mut all) = (Rows::new(page), Vec::new());
    while let Some(row) = rows.next().await? {
        all.push(row);
    }
    Ok(all)
}

/// Says whether an item has what the query asks of its fields: of each one of the values that are
/// named. What is no field asks nothing.
fn is_wanted(query: &Query, item: &Value) -> bool {
    query.fields().filter(|name| item.get(*name).is_some()).all(|name| {
        let mut values = query.all(name);
        values.any(|value| is(&item[name], value))
    })
}

fn is(field: &Value, wanted: &str) -> bool {
    match field {
        Value::String(text) => text == wanted,
        Value::Bool(flag) => wanted.eq_ignore_ascii_case(&flag.to_string()),
        Value::Array(items) => items.iter().any(|item| is(item, wanted)),
        Value::Null => wanted.is_empty(),
        Value::Number(_) | Value::Object(_) => {
            let text = field.to_string();
            text == wanted
        }
    }
}

fn require_field(name: &str, item: &Value, code: &'static str) -> Result<(), Unanswered> {
    match item.get(name) {
        Some(_) => Ok(()),
        None => Err(Unanswered::refused(code, format!("there is no field `{name}` here"))),
    }
}

fn compared(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Number(one), Value::Number(other)) => {
            one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        _ => one.to_string().cmp(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paged(query: &Query, items: Vec<Value>) -> Result<(Vec<Value>, Value), Unanswered> {
        let mut chosen = Chosen::new(query);
        items.into_iter().try_for_each(|item| chosen.take(item))?;
        chosen.page()
    }

    fn ids(query: &str) -> Result<Vec<String>, &'static str> {
        let items = [("a", 3, true), ("b", 1, false), ("c", 2, true), ("d", 2, false)];
        let items = items.map(|(id, size, is_on)| json!({ "id": id, "size": size, "on": is_on }));
        let query = Query::parse(query);
        let listed = paged(&query, items.into());
        let (items, _) = listed.map_err(|unanswered| unanswered.error_code)?;
        Ok(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn a_list_is_chosen_ordered_and_cut_as_stock_clients_ask() {
        for (query, wanted) in [
            ("", Ok(vec!["a", "b", "c", "d"])),
            ("_all_tenants=False&_get_data=False", Ok(vec!["a", "b", "c", "d"])),
            ("id=a&id=c", Ok(vec!["a", "c"])),
            ("on=True", Ok(vec!["a", "c"])),
            ("on=true&size=2", Ok(vec!["c"])),
            ("no_field=1", Ok(vec!["a", "b", "c", "d"])),
            ("_sort=size&_sort=-id", Ok(vec!["b", "d", "c", "a"])),
            ("_sort=-size", Ok(vec!["a", "c", "d", "b"])),
            ("_offset=1&_size=2", Ok(vec!["b", "c"])),
            ("_size=1&_get_all_results=True", Ok(vec!["a", "b", "c", "d"])),
            ("_search=B", Ok(vec!["b"])),
            ("_include=id", Ok(vec!["a", "b", "c", "d"])),
            ("_include=id,none", Err("no_such_include_field_error")),
            ("_sort=none", Err("bad_parameters_error")),
        ] {
            let wanted = wanted.map(|ids| ids.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(ids(query), wanted, "{query}");
        }
        let numbers: Vec<_> = (0..5000).map(|n| json!({ "id": n * 7 % 5000 })).collect();
        let (page, whole) =
            paged(&Query::parse("_sort=-id&_offset=2&_size=2"), numbers).expect("it is good");
        assert_eq!(page, [json!({ "id": 4997 }), json!({ "id": 4996 })]);
        assert_eq!(whole, json!({ "total": 5000, "size": 2, "offset": 2 }));
        let (_, whole) = paged(&Query::parse("_size=1&on=True"), vec![json!({"on": true}); 3])
            .expect("it is a good query");
        assert_eq!(whole, json!({ "total": 3, "size": 1, "offset": 0 }));
    }
}
