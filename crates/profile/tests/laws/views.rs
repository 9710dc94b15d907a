//! What people look at adds up.

use std::collections::BTreeMap;

use profile::Profile;
use profile::view::flame::{FlameTree, Presence, Sandwich};
use profile::view::speedscope::Speedscope;
use profile::view::stacks::{Change, Stacks, Weight};
use profile::view::svg::{Caption, Paint};
use profile::view::top::TopOptions;
use profile::view::{Order, View, ViewError};
use proptest::prelude::*;

use super::{decode, profiles};

fn stacks<'p>(profile: &'p Profile<'p>) -> Stacks<'p> {
    Stacks::new(&View::new(profile, 1).unwrap())
}

fn compared<'p>(before: &'p Profile<'p>, after: &'p Profile<'p>) -> Stacks<'p, Change> {
    Stacks::compare(&View::new(before, 1).unwrap(), &View::new(after, 1).unwrap()).unwrap()
}

/// Own value and total by path. The nodes below one have different names.
type Paths<'t, W> = BTreeMap<Vec<&'t str>, (W, W)>;

/// All paths of a tree that adds up.
fn paths<'t, W: Weight>(tree: &'t FlameTree<'_, W>) -> Paths<'t, W> {
    let nodes = tree.nodes();
    let mut found = BTreeMap::new();
    let mut todo = vec![(0, vec![tree.name(&nodes[0])])];
    while let Some((index, path)) = todo.pop() {
        let mut sum = nodes[index].own;
        let mut size = tree.size(nodes[index].total);
        for child in tree.children(index) {
            assert!(tree.size(nodes[child].total) <= size, "the largest comes first");
            size = tree.size(nodes[child].total);
            sum = sum.plus(nodes[child].total);
            let below = [&path[..], &[tree.name(&nodes[child])]].concat();
            todo.push((child, below));
        }
        assert_eq!(sum, nodes[index].total);
        let known = found.insert(path, (nodes[index].own, nodes[index].total));
        assert_eq!(known, None, "no path is there twice");
    }
    assert_eq!(found.len(), nodes.len());
    found
}

/// A smaller tree has some of the paths of a larger one, with the same totals.
fn assert_pruned<W: Weight>(tree: &FlameTree<'_, W>, nodes_max: usize) {
    let mut pruned = tree.clone();
    pruned.prune(nodes_max);
    assert_eq!(pruned.nodes().len(), tree.nodes().len().min(nodes_max + 1));
    let all = paths(tree);
    for (path, (_, total)) in paths(&pruned) {
        assert_eq!(all[&path].1, total);
    }
    let smallest = |tree: &FlameTree<'_, W>| tree.nodes().iter().map(|node| tree.size(node.total)).min();
    let left_out = all.len() - pruned.nodes().len();
    if left_out > 0 {
        let larger = |(_, total): &&(W, W)| Some(tree.size(*total)) > smallest(&pruned);
        assert!(
            all.values().filter(larger).count() <= nodes_max,
            "what is left out is not larger"
        );
    }
}

fn assert_picture<W: Paint>(tree: &FlameTree<'_, W>) {
    let picture = tree.svg(Caption {
        title: "<cpu>",
        unit: "ns",
        whole: None,
    });
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n") && picture.contains("&lt;cpu&gt;"));
    assert!(!picture.contains("NaN") && !picture.contains("inf"));
}

proptest! {
    #[test]
    fn reports_add_up(bytes in profiles(0..9)) {
        let profile = decode(&bytes);
        let total = profile.totals()[1];
        let view = View::new(&profile, 1).unwrap();
        prop_assert_eq!(view.total(), total);
        let top = view.top(TopOptions::ALL);
        prop_assert!(top.rows.iter().all(|row| row.flat <= row.cum && row.cum <= total));
        let stackless: i64 = profile.samples().filter(|sample| sample.stack.is_empty()).map(|sample| sample.values[1]).sum();
        prop_assert_eq!(top.rows.iter().map(|row| row.flat).sum::<i64>() + stackless, total);
        let by_cum = view.top(TopOptions { order: Order::Cum, rows_max: 2, ..TopOptions::ALL });
        prop_assert!(by_cum.rows.len() <= 2 && by_cum.rows.is_sorted_by_key(|row| std::cmp::Reverse(row.cum)));
        let peek = view.peek(Order::Flat, |name| name == b"main").unwrap();
        for entry in &peek.entries {
            prop_assert!(top.rows.iter().any(|row| row.name == entry.name && row.flat == entry.flat && row.cum == entry.cum));
            prop_assert!(entry.callers.iter().chain(&entry.callees).all(|calls| calls.value <= entry.cum));
        }
    }

    #[test]
    fn trees_add_up(bytes in profiles(0..9), nodes_max in 0_usize..30) {
        let profile = decode(&bytes);
        let total = profile.totals()[1];
        let view = View::new(&profile, 1).unwrap();
        let stacks = Stacks::new(&view);
        let sum: i64 = stacks.folded().unwrap().lines().map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap()).sum();
        prop_assert_eq!(sum, total);
        let (tree, inverted) = (stacks.tree().unwrap(), stacks.inverted().unwrap());
        let mut flat: BTreeMap<&str, i64> = BTreeMap::new();
        let (all, callers) = (paths(&tree), paths(&inverted));
        for (path, (own, _)) in all.iter().filter(|(path, _)| path.len() > 1) {
            *flat.entry(path.last().unwrap()).or_default() += own;
            // Whoever ends here comes first in the other tree, and the whole path is there.
            let mut back: Vec<_> = path.iter().skip(1).rev().copied().collect();
            back.insert(0, "all");
            prop_assert_eq!(callers.get(&back).map_or(0, |(own, _)| *own), *own);
        }
        prop_assert_eq!(callers[&vec!["all"]].1, total);
        for (path, (_, total)) in callers.iter().filter(|(path, _)| path.len() == 2) {
            prop_assert_eq!(flat[path[1]], *total);
        }
        for tree in [&tree, &inverted] {
            assert_pruned(tree, nodes_max);
            assert_picture(tree);
        }
    }

    #[test]
    fn a_sandwich_has_what_top_has(bytes in profiles(0..9)) {
        let profile = decode(&bytes);
        let stacks = stacks(&profile);
        let mut cum: BTreeMap<&str, i64> = BTreeMap::new();
        // Functions of one name are one: by their outermost calls.
        let tree = stacks.tree().unwrap();
        for (path, (_, total)) in paths(&tree) {
            let (name, above) = path.split_last().unwrap();
            if path.len() > 1 && !above[1..].contains(name) {
                *cum.entry(name).or_default() += total;
            }
        }
        prop_assert_eq!(stacks.functions().len(), cum.len());
        for (function, cum) in cum {
            let Sandwich { callers, callees } = stacks.sandwich(function).unwrap().unwrap();
            for tree in [&callers, &callees] {
                prop_assert_eq!(tree.name(&tree.nodes()[0]), function);
                prop_assert_eq!(tree.nodes()[0].total, cum);
                paths(tree);
            }
            let picture = Sandwich { callers, callees }.svg(Caption { title: "", unit: "ns", whole: None });
            prop_assert!(picture.ends_with("</svg>\n"));
        }
        prop_assert!(stacks.sandwich("no such function").unwrap().is_none());
    }

    #[test]
    fn nothing_changes_between_a_profile_and_itself(bytes in profiles(0..9)) {
        let profile = decode(&bytes);
        let compared = compared(&profile, &profile);
        let tree = compared.tree().unwrap();
        for node in tree.nodes() {
            prop_assert_eq!(node.total.before, node.total.after);
            prop_assert_eq!(node.own.before, node.own.after);
            prop_assert_eq!(node.total.presence(), Presence::Both);
        }
        let alone = stacks(&profile);
        let alone = alone.tree().unwrap();
        let totals: Vec<_> = paths(&alone).into_values().map(|(_, total)| total).collect();
        let both: Vec<_> = paths(&tree).into_values().map(|(_, total)| total.after).collect();
        prop_assert_eq!(totals, both);
    }

    #[test]
    fn a_comparison_has_both_profiles(
        before in profiles(0..9),
        after in profiles(0..9),
        nodes_max in 0_usize..30,
        is_normalized: bool,
    ) {
        let (before, after) = (decode(&before), decode(&after));
        let mut compared = compared(&before, &after);
        if is_normalized {
            compared = compared.normalized();
        }
        let (first, second) = (stacks(&before), stacks(&after));
        for (tree, first, second) in [
            (compared.tree().unwrap(), first.tree().unwrap(), second.tree().unwrap()),
            (compared.inverted().unwrap(), first.inverted().unwrap(), second.inverted().unwrap()),
        ] {
            let (first, second) = (paths(&first), paths(&second));
            let all = paths(&tree);
            for (path, (_, change)) in &all {
                let total = |of: &Paths<'_, i64>| of.get(path).map_or(0, |(_, total)| *total);
                prop_assert_eq!((change.before, change.after), (total(&first), total(&second)));
                // The root is there even where nothing is below it.
                let has = |of: &Paths<'_, i64>| of.get(path).is_some_and(|(_, total)| path.len() > 1 || *total > 0);
                let presence = match (has(&first), has(&second)) {
                    (false, true) => Presence::New,
                    (true, false) => Presence::Gone,
                    _ => Presence::Both,
                };
                prop_assert_eq!(change.presence(), presence);
            }
            prop_assert!(first.keys().chain(second.keys()).all(|path| all.contains_key(path)));
            let root = tree.nodes()[0].total;
            if is_normalized && root.before > 0 && root.after > 0 {
                let room = |before, after| tree.size(Change { before, after });
                prop_assert_eq!(room(root.before, 0), room(0, root.after));
            }
            assert_pruned(&tree, nodes_max);
            assert_picture(&tree);
        }
    }

    #[test]
    fn a_tree_can_be_had_back_from_its_json(first in profiles(0..9), second in profiles(0..9)) {
        let (first, second) = (decode(&first), decode(&second));
        let (alone, both) = (stacks(&first), compared(&first, &second));
        let (alone, both) = (alone.tree().unwrap(), both.tree().unwrap());
        let values = |change: Change| vec![change.before, change.after];
        let own: Vec<_> = alone.nodes().iter().map(|node| vec![node.own]).collect();
        prop_assert_eq!(read(&alone.json(), 1), expected(&alone, own));
        let own: Vec<_> = both.nodes().iter().map(|node| values(node.own)).collect();
        prop_assert_eq!(read(&both.json(), 2), expected(&both, own));
    }

    #[test]
    fn speedscope_gets_every_sample_and_each_name_once(bytes in profiles(0..9)) {
        let profile = decode(&bytes);
        let views = [0, 1].map(|index| Stacks::new(&View::new(&profile, index).unwrap()));
        let mut file = Speedscope::default();
        file.add("samples", "count", &views[0]).unwrap();
        file.add("cpu", "nanoseconds", &views[1]).unwrap();
        let file: serde_json::Value = serde_json::from_str(&file.finish("a \"file\"", 1)).unwrap();
        prop_assert_eq!(file["profiles"][1]["name"].as_str(), Some("cpu"));
        let frames: Vec<_> = file["shared"]["frames"].as_array().unwrap().iter().map(|frame| frame["name"].as_str().unwrap()).collect();
        for (at, name) in frames.iter().enumerate() {
            prop_assert!(!frames[..at].contains(name));
        }
        for (index, stacks) in views.iter().enumerate() {
            let sheet = &file["profiles"][index];
            prop_assert_eq!(sheet["endValue"].as_i64(), Some(profile.totals()[index]));
            let samples = sheet["samples"].as_array().unwrap().iter();
            let name = |frame: &serde_json::Value| frames[usize::try_from(frame.as_u64().unwrap()).unwrap()];
            let stack = |sample: &serde_json::Value| sample.as_array().unwrap().iter().map(name).collect::<Vec<_>>().join(";");
            let mut lines: Vec<_> = samples
                .zip(sheet["weights"].as_array().unwrap())
                .map(|(sample, weight)| format!("{} {weight}\n", stack(sample)))
                .collect();
            lines.sort();
            prop_assert_eq!(lines.concat(), stacks.folded().unwrap());
        }
    }

    #[test]
    fn a_difference_has_no_areas(bytes in profiles(-9..0)) {
        let profile = decode(&bytes);
        let stacks = stacks(&profile);
        let error = (profile.samples().any(|sample| sample.values[1] != 0)).then_some(ViewError::Negative);
        prop_assert_eq!(stacks.tree().err(), error.clone());
        prop_assert_eq!(Speedscope::default().add("cpu", "ns", &stacks).err(), error);
    }
}

/// Name, own value and number of children of each node, as the tree has them.
fn expected<W: Weight>(tree: &FlameTree<'_, W>, own: Vec<Vec<i64>>) -> Vec<(String, Vec<i64>, usize)> {
    let nodes = tree.nodes().iter().enumerate().zip(own);
    let node = |((index, node), own)| (tree.name(node).to_owned(), own, tree.children(index).count());
    nodes.map(node).collect()
}

/// The same, read from the JSON as its description says.
fn read(json: &str, numbers: usize) -> Vec<(String, Vec<i64>, usize)> {
    let file: serde_json::Value = serde_json::from_str(json).unwrap();
    let data: Vec<i64> = file["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_i64().unwrap())
        .collect();
    let mut data = data.as_slice();
    let mut found = Vec::new();
    while let Some((first, rest)) = data.split_first() {
        let name = file["names"][usize::try_from(first / 3).unwrap()]
            .as_str()
            .unwrap()
            .to_owned();
        let (own, count, left) = match first % 3 {
            0 => (vec![0; numbers], 1, rest),
            1 => (rest[..numbers].to_vec(), 0, &rest[numbers..]),
            _ => (
                rest[..numbers].to_vec(),
                usize::try_from(rest[numbers]).unwrap(),
                &rest[numbers + 1..],
            ),
        };
        found.push((name, own, count));
        data = left;
    }
    found
}

#[test]
fn what_is_more_than_63_bits_has_no_areas() {
    use super::{message, number};
    let sample = message(2, &[number(1, 1), number(2, i64::MAX.cast_unsigned())]);
    let strings = ["", "cpu", "ns"]
        .map(|string| message(6, &[string.as_bytes().to_vec()]))
        .concat();
    let types = message(1, &[number(1, 1), number(2, 2)]);
    let bytes = [types, sample.clone(), sample, message(4, &[number(1, 1)]), strings].concat();
    let profile = decode(&bytes);
    let stacks = Stacks::new(&View::new(&profile, 0).unwrap());
    assert_eq!(stacks.tree().err(), Some(ViewError::Overflow));
}
