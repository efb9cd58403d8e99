use serde_json::{Value, json};

use super::{Picture, layout::Layout};

fn node(id: &str, relationships: &[(&str, &str)]) -> Value {
    let relationships = relationships.iter().map(|(kind, target)| {
        let name = format!("cloudify.relationships.{kind}");
        json!({ "type": name, "target_id": target, "type_hierarchy": [name] })
    });
    json!({
        "id": id,
        "type": format!("my.{id}"),
        "relationships": relationships.collect::<Vec<_>>(),
        "capabilities": {"scalable": {"properties": {
            "default_instances": if id == "web" { 3 } else { 1 },
        }}},
    })
}

fn plan() -> Value {
    let nodes = [
        node("vm", &[]),
        node("web", &[("contained_in", "vm"), ("connected_to", "db"), ("depends_on", "app")]),
        node("app", &[("contained_in", "vm")]),
        node("db", &[("contained_in", "disk<&>")]),
        node("disk<&>", &[]),
    ];
    json!({ "nodes": nodes, "scaling_groups": { "front": { "members": ["web"] } } })
}

#[test]
fn text_shows_what_contains_what_and_who_needs_whom() {
    let text = anstream::adapter::strip_str(&Picture::of(&plan()).text()).to_string();
    insta::assert_snapshot!(text, @"
    vm (my.vm)
    ├─ web ×3 (my.web) [front] ─▶ db (connected_to), app (depends_on)
    └─ app (my.app)
    disk<&> (my.disk<&>)
    └─ db (my.db)
    ");
}

#[test]
fn a_box_lies_in_what_contains_it_and_beside_its_siblings() {
    let picture = Picture::of(&plan());
    let layout = Layout::of(&picture);
    for (place, node) in picture.nodes.iter().enumerate() {
        let at = layout.boxes[place];
        let (right, bottom) = (at.x + at.width, at.y + at.height);
        if let Some(outer) = node.container.map(|outer| layout.boxes[outer]) {
            assert!(at.x > outer.x && right < outer.x + outer.width, "{}", node.id);
            assert!(at.y > outer.y && bottom < outer.y + outer.height, "{}", node.id);
        }
        assert!(right <= layout.width && bottom <= layout.height, "{}", node.id);
        for (other, sibling) in picture.nodes.iter().enumerate() {
            if other != place && sibling.container == node.container {
                let other = layout.boxes[other];
                let is_apart = right <= other.x
                    || other.x + other.width <= at.x
                    || bottom <= other.y
                    || other.y + other.height <= at.y;
                assert!(is_apart, "{} and {}", node.id, sibling.id);
            }
        }
    }
    // What needs something stands above it: `vm` holds `web`, which needs what `disk` holds.
    assert!(layout.boxes[0].y < layout.boxes[4].y);
    assert!(layout.boxes[1].y < layout.boxes[2].y);
}

#[test]
fn svg_draws_every_node_and_arrow_and_no_name_breaks_it() {
    let svg = Picture::of(&plan()).svg();
    assert_eq!(svg.matches("<g><title>").count(), 5);
    assert_eq!(svg.matches("marker-end").count(), 2);
    assert!(svg.contains("<title>disk&lt;&amp;&gt;</title>"), "{svg}");
    assert!(svg.contains("web ×3</text>"), "{svg}");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
}

#[test]
fn a_chain_of_thousands_and_a_circle_are_drawn() {
    let name = |at: usize| format!("n{at}");
    let mut nodes = vec![node("n0", &[("connected_to", "n1999")])];
    nodes.extend(
        (1..2000)
            .map(|at| node(&name(at), &[("contained_in", &name(at - 1)), ("connected_to", "n0")])),
    );
    let picture = Picture::of(&json!({ "nodes": nodes }));
    assert_eq!(picture.svg().matches("<g><title>").count(), 2000);
    let ends = [node("a", &[("depends_on", "b")]), node("b", &[("depends_on", "a")])];
    assert_eq!(Picture::of(&json!({ "nodes": ends })).text().lines().count(), 2);
}
