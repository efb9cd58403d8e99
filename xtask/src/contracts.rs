//! The contracts' numbers and names, a line each, held in `proto/descriptors.lock`.

use std::collections::BTreeSet;

use anyhow::Result;
use fs_err as fs;
use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorSet, field_descriptor_proto,
};

use crate::shell::root;

const LOCK: &str = "proto/descriptors.lock";

/// Writes the lock anew.
pub(crate) fn lock() -> Result<()> {
    let lines: Vec<String> = current()?.into_iter().collect();
    Ok(fs::write(root().join(LOCK), lines.join("\n") + "\n")?)
}

/// The lines of the lock as it stands.
#[cfg(test)]
pub(crate) fn locked() -> Result<BTreeSet<String>> {
    Ok(fs::read_to_string(root().join(LOCK))?.lines().map(str::to_owned).collect())
}

/// What the contracts say now.
pub(crate) fn current() -> Result<BTreeSet<String>> {
    let mut lines = BTreeSet::new();
    for file in FileDescriptorSet::decode(waggoner_proto::DESCRIPTORS)?.file {
        let package = file.package().to_owned();
        if !package.starts_with("waggoner.") {
            continue;
        }
        for service in &file.service {
            for method in &service.method {
                let name = format!("{package}.{}.{}", service.name(), method.name());
                let flow = |streams| if streams { "stream " } else { "" };
                lines.insert(format!(
                    "rpc {name} {}{} -> {}{}",
                    flow(method.client_streaming()),
                    method.input_type(),
                    flow(method.server_streaming()),
                    method.output_type(),
                ));
            }
        }
        file.message_type.iter().for_each(|message| fields(message, &package, &mut lines));
        file.enum_type.iter().for_each(|words| values(words, &package, &mut lines));
    }
    Ok(lines)
}

fn fields(message: &DescriptorProto, within: &str, lines: &mut BTreeSet<String>) {
    let name = format!("{within}.{}", message.name());
    for field in &message.field {
        let kind = match field.r#type() {
            field_descriptor_proto::Type::Message | field_descriptor_proto::Type::Enum => {
                field.type_name().to_owned()
            }
            scalar => scalar.as_str_name().to_owned(),
        };
        let repeated = field.label() == field_descriptor_proto::Label::Repeated;
        let many = if repeated { "repeated " } else { "" };
        lines.insert(format!("field {name}.{} = {} {many}{kind}", field.name(), field.number()));
    }
    message.nested_type.iter().for_each(|nested| fields(nested, &name, lines));
    message.enum_type.iter().for_each(|words| values(words, &name, lines));
}

fn values(words: &EnumDescriptorProto, within: &str, lines: &mut BTreeSet<String>) {
    for value in &words.value {
        lines.insert(format!(
            "value {within}.{}.{} = {}",
            words.name(),
            value.name(),
            value.number()
        ));
    }
}
