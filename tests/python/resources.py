"""Prints what an AWS server holds that is not there from its beginning.

    resources.py URL
"""

import base64
import json
import sys

import boto3


def user_data(ec2, machine):
    """What the machine would run when it starts."""
    asked = ec2.describe_instance_attribute(InstanceId=machine, Attribute='userData')
    return base64.b64decode(asked['UserData'].get('Value', '')).decode()


def main(url):
    def client(service):
        return boto3.client(
            service, endpoint_url=url, region_name='eu-central-1',
            aws_access_key_id='story', aws_secret_access_key='story')

    ec2, s3 = client('ec2'), client('s3')
    print(json.dumps({
        'vpcs': {
            vpc['VpcId']: vpc['CidrBlock']
            for vpc in ec2.describe_vpcs()['Vpcs'] if not vpc['IsDefault']},
        'subnets': {
            subnet['SubnetId']: {'vpc': subnet['VpcId'], 'cidr': subnet['CidrBlock']}
            for subnet in ec2.describe_subnets()['Subnets'] if not subnet['DefaultForAz']},
        'firewalls': {
            group['GroupName']: group['VpcId']
            for group in ec2.describe_security_groups()['SecurityGroups']
            if group['GroupName'] != 'default'},
        'keys': [pair['KeyName'] for pair in ec2.describe_key_pairs()['KeyPairs']],
        'machines': {
            machine['InstanceId']: {
                'state': machine['State']['Name'],
                'subnet': machine['SubnetId'],
                'key': machine['KeyName'],
                'firewalls': [group['GroupName'] for group in machine['SecurityGroups']],
                'user_data': user_data(ec2, machine['InstanceId'])}
            for reservation in ec2.describe_instances()['Reservations']
            for machine in reservation['Instances']
            if machine['State']['Name'] != 'terminated'},
        'buckets': [bucket['Name'] for bucket in s3.list_buckets()['Buckets']],
    }))


main(*sys.argv[1:])
