"""Makes a plugin.yaml of the size and the shape of the AWS plugin's: data types for every resource,
node types that merge anchors several times over, relationships with short and long operations."""

import yaml

SERVICES = {
    "ec2": ["Vpc", "Subnet", "SecurityGroup", "Instances", "Interface", "Gateway", "RouteTable", "Route",
            "Keypair", "Address", "Volume", "Snapshot", "Image", "Acl", "Tags", "Peering", "Transit"],
    "rds": ["Instance", "Replica", "SubnetGroup", "OptionGroup", "Option", "ParameterGroup", "Parameter"],
    "iam": ["User", "Group", "Role", "RolePolicy", "AccessKey", "LoginProfile", "Policy", "Profile"],
    "elb": ["LoadBalancer", "Listener", "Rule", "TargetGroup", "Classic", "HealthCheck"],
    "s3": ["Bucket", "BucketPolicy", "Object", "Lifecycle", "Tagging"],
    "ecs": ["Cluster", "Service", "TaskDefinition"], "eks": ["Cluster", "NodeGroup", "Account"],
    "sns": ["Topic", "Subscription"], "sqs": ["Queue"], "kms": ["Key", "Alias", "Grant"],
    "lambda": ["Function", "Invoke", "Permission"], "dynamodb": ["Table"], "efs": ["System", "Target"],
    "route53": ["Zone", "RecordSet"], "cloudwatch": ["Alarm", "Rule", "Event", "Target"],
    "autoscaling": ["Group", "Launch", "Policy", "Hook", "Notification"], "codepipeline": ["Pipeline"],
}
RESOURCES = [(service, name) for service, names in SERVICES.items() for name in names][:59]

HEAD = """\
plugins:
  aws:
    executor: central_deployment_agent
    package_name: cloudify-aws-plugin
    package_version: '3.1.7'
{properties}
dsl_definitions:

  external_resource: &external_resource
    use_external_resource:
      type: boolean
      default: false
      description: >
        Whether the resource is there already.
        Nothing is created then (and nothing is deleted).
  client_config: &client_config
    client_config:
      type: cloudify.datatypes.aws.Connection
      description: How the service is reached.
      required: false
  resource_id: &resource_id
    resource_id:
      description: The id of a resource that is there.
      type: string
      default: ''
  operation_inputs: &operation_inputs
    aws_resource_id:
      type: string
      default: ''
    runtime_properties:
      default: {{}}
    force_operation:
      type: boolean
      default: false
    resource_config:
      default: {{}}
  validation: &validation
    cloudify.interfaces.validation:
      creation:
        implementation: aws.validate

data_types:

  cloudify.datatypes.aws.Connection:
    properties:
      region_name:
        description: >
          The region: us-east-1.
          (Not us-east-1b, which is a zone, or "US East".)
        type: string
        required: false
      additional_config:
        required: false
        description: >
          Whatever else the client takes:
          vm:
            properties:
              retries: 10
"""
DATA_TYPE = """\

  cloudify.datatypes.aws.{service}.{name}.config:
    properties:
      Name:
        type: string
        description: The name of the {name}, as the service shows it. Letters, digits and hyphens; it need not be unique.
        required: {required}
        default: 'cfy_{name}'
      Definitions:
        description: An array of what describes the schema (dict) of the {name}. Keys are AttributeName, AttributeType.
        default: []
      Options:
        description: Represents the settings of the {name} that are changed later, e.g. 'PROVISIONED' or 'PAY_PER_REQUEST'.
        default: {{}}
      Enabled:
        type: boolean
        description: Whether it is to be used at once.
        required: false
      kwargs:
        description: http://boto3.readthedocs.io/en/latest/reference/services/{service}.html#{service}.Client.create_{lower}
        default: {{}}
"""
NODE_TYPE = """\

  cloudify.nodes.aws.{service}.{name}:
    derived_from: {parent}
    properties:
      <<: *external_resource
      <<: *client_config
      <<: *resource_id
      resource_config:
        description: >
          Key-value data to be passed as it is to the method of the client.
          The names of keys are written as it writes them.
        type: cloudify.datatypes.aws.{service}.{name}.config
        required: false
    interfaces:
      <<: *validation
      cloudify.interfaces.lifecycle:
        precreate:
          implementation: aws.cloudify_aws.{service}.resources.{lower}.prepare
          inputs: *operation_inputs
        create:
          implementation: aws.cloudify_aws.{service}.resources.{lower}.create
          inputs: *operation_inputs
        start:
          implementation: aws.cloudify_aws.{service}.resources.{lower}.attach
          inputs: *operation_inputs
        stop:
          implementation: aws.cloudify_aws.{service}.resources.{lower}.detach
          inputs: *operation_inputs
        delete:
          implementation: aws.cloudify_aws.{service}.resources.{lower}.delete
          inputs: *operation_inputs
"""
RELATIONSHIP = """\

  ##
  # {service} {name}: https://boto3.readthedocs.io/en/latest/reference/services/{service}.html#create_{lower}
  ##
  cloudify.relationships.aws.{service}.{lower}.connected_to:
    derived_from: cloudify.relationships.aws.connected_to
    source_interfaces:
      cloudify.interfaces.relationship_lifecycle:
        preconfigure: {{ implementation: aws.cloudify_aws.{service}.resources.{lower}.prepare_assoc }}
        establish:
          implementation: aws.cloudify_aws.{service}.resources.{lower}.attach_to
          inputs:
            target_id:
              type: string
              description: The id; without one, it is looked up in the runtime properties of the target.
              default: {{ get_attribute: [ TARGET, aws_resource_id ] }}
            ids:
              type: list
              default: [ {{ get_attribute: [ SOURCE, ids, {{ get_attribute: [ TARGET, aws_resource_id ] }} ] }} ]
        unlink: {{ implementation: aws.cloudify_aws.{service}.resources.{lower}.detach_from }}
"""
TAIL = """\

workflows:

  discover:
#    description: >
#      Without one.
    mapping: aws.cloudify_aws.workflows.discover
{rules}\
    parameters:
      node_id:
        type: {node_id}
        default: ''
      resource_types:
        description: >
            What to look for.
        default:
          - AWS::EKS::CLUSTER
{labels}"""
RULES = """\
    availability_rules:
      node_instances_active: ['all']
      node_types_required: ['cloudify.nodes.aws.eks.Cluster']
"""
LABELS = """
blueprint_labels:
  obj-type:
    values:
      - aws

labels:
  obj-type:
    values:
      - aws

resource_tags:
  tenant: { get_sys: [ tenant, name ] }
  deployment_id: { get_sys: [ deployment, id ] }
"""
PROPERTIES = """\
    properties_description: How the service is reached
    properties:
      region:
        type: string
        display_label: Region
        default: us-east-1
"""


def plugin_yaml(version):
    """The text for a version of the language: 1_3, 1_4 or 1_5."""
    is_new = version != "1_3"
    properties = PROPERTIES.replace("        default: us-east-1\n", "") if version == "1_5" else ""
    text = [HEAD.format(properties=properties)]

    def each(template):
        for index, (service, name) in enumerate(RESOURCES):
            base = "cloudify.nodes.aws.ec2.Vpc" if index % 3 == 2 else "cloudify.nodes.Root"
            text.append(template.format(service=service, name=name, lower=name.lower(), parent=base,
                                        required=str(index % 2 == 0).lower()))

    each(DATA_TYPE)
    text.append("\nnode_types:\n")
    each(NODE_TYPE)
    text.append("\nrelationships:\n\n  cloudify.relationships.aws.connected_to:\n"
                "    derived_from: cloudify.relationships.connected_to\n")
    each(RELATIONSHIP)
    text.append(TAIL.format(rules=RULES if is_new else "", labels=LABELS if is_new else "",
                            node_id="node_id" if is_new else "string"))
    return "".join(text)


def all_types(version, plugin, imports):
    """A blueprint with a node of every type of a plugin.yaml that asks for no property."""
    types = yaml.safe_load(plugin)["node_types"]

    def asks(name):
        of = types.get(name, {})
        own = any(it.get("required", True) and "default" not in it
                  for it in of.get("properties", {}).values())
        return own or "derived_from" in of and asks(of["derived_from"])

    made = {"tosca_definitions_version": f"cloudify_dsl_{version}", "imports": imports}
    nodes = [name for name in types if not asks(name)]
    made["node_templates"] = {f"n{index}": {"type": name} for index, name in enumerate(nodes)}
    return yaml.safe_dump(made, sort_keys=False)


def blueprint(version, nodes, imports, instances=1):
    """A blueprint of so many nodes: thirds of VPCs, of subnets in them, of instances in those."""
    text = [f"tosca_definitions_version: cloudify_dsl_{version}\nimports:\n"]
    text += [f"  - {location}\n" for location in imports]
    text.append("inputs:\n  region: {default: us-east-1}\nnode_templates:\n")
    for index in range(nodes):
        kind = ["Vpc", "Subnet", "Instances"][index % 3]
        text.append(f"""\
  node_{index}:
    type: cloudify.nodes.aws.ec2.{kind}
    properties:
      client_config:
        region_name: {{ get_input: region }}
      resource_config:
        {"kwargs: {CidrBlock: 10.10.0.0/16}" if kind != "Instances" else "kwargs: {Count: 1}"}
""")
        if instances > 1 and kind == "Vpc":
            text.append("    capabilities: {scalable: {properties: {default_instances: %d}}}\n" % instances)
        if kind != "Vpc":
            text.append(f"""\
    relationships:
      - type: cloudify.relationships.contained_in
        target: node_{index - 1}
""")
        if kind == "Instances":
            text.append(f"""\
      - type: cloudify.relationships.connected_to
        target: node_{index - 2}
    interfaces:
      cloudify.interfaces.lifecycle:
        start:
          implementation: aws.cloudify_aws.ec2.resources.instances.start
          inputs:
            address: {{ get_attribute: [ node_{index - 1}, address ] }}
            name: {{ concat: [ "host-", {{ get_input: region }} ] }}
""")
    text.append("outputs:\n  first: {value: {get_attribute: [node_0, aws_resource_id]}}\n")
    return "".join(text)
