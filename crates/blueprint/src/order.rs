//! Things in the order of what they build on.

use std::collections::{HashMap, HashSet};

/// Orders `names` so that each comes after everything it needs; names keep their order where
/// nothing is needed. What is needed and not among the names is left out.
///
/// # Errors
///
/// A cycle, its first name once more at its end.
pub(crate) fn order<'n>(
    names: impl IntoIterator<Item = &'n str>,
    needs: impl Fn(&str) -> Vec<&'n str>,
) -> Result<Vec<&'n str>, Vec<String>> {
    let names: Vec<&str> = names.into_iter().collect();
    let known: HashSet<&str> = names.iter().copied().collect();
    let needs: HashMap<&str, Vec<&str>> = names
        .iter()
        .map(|name| (*name, needs(name).into_iter().filter(|n| known.contains(n)).collect()))
        .collect();
    let mut done = HashSet::new();
    let mut ordered = vec![];
    for name in &names {
        // The way from `name` to the one at hand, each with how many of its needs were seen.
        let mut way = vec![(*name, 0)];
        let mut on_way = HashSet::from([*name]);
        while let Some((here, seen)) = way.last_mut() {
            if done.contains(here) {
                on_way.remove(here);
                way.pop();
                continue;
            }
            let Some(next) = needs[here].get(*seen).copied() else {
                done.insert(*here);
                ordered.push(*here);
                on_way.remove(here);
                way.pop();
                continue;
            };
            *seen += 1;
            if done.contains(next) {
                continue;
            }
            if !on_way.insert(next) {
                let from = way.iter().position(|(name, _)| *name == next).unwrap_or(0);
                let mut cycle: Vec<String> =
                    way[from..].iter().map(|(name, _)| (*name).to_owned()).collect();
                cycle.push(next.to_owned());
                return Err(cycle);
            }
            way.push((next, 0));
        }
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::order;

    fn check(edges: &[(&'static str, &'static str)]) -> Result<Vec<&'static str>, Vec<String>> {
        order(["a", "b", "c"], |name| {
            edges.iter().filter(|(from, _)| *from == name).map(|(_, to)| *to).collect()
        })
    }

    #[test]
    fn what_is_needed_comes_first() {
        assert_eq!(check(&[("a", "c"), ("b", "x")]), Ok(vec!["c", "a", "b"]));
        assert_eq!(check(&[]), Ok(vec!["a", "b", "c"]));
    }

    #[test]
    fn a_cycle_is_told_in_its_order() {
        let cycle = |names: &[&str]| Err(names.iter().map(ToString::to_string).collect());
        assert_eq!(check(&[("a", "b"), ("b", "c"), ("c", "b")]), cycle(&["b", "c", "b"]));
        assert_eq!(check(&[("a", "a")]), cycle(&["a", "a"]));
    }
}
