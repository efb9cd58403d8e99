"""Prints what an AWS server holds that is not there from its beginning.

    resources.py URL
"""

import json
import sys

import boto3


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
        'buckets': [bucket['Name'] for bucket in s3.list_buckets()['Buckets']],
    }))


main(*sys.argv[1:])
