from setuptools import setup

setup(
    name='awkward-plugin',
    version='1.0',
    description='Operations that behave badly, for the stories',
    packages=['awkward'],
    install_requires=['cloudify-common==7.0.5'],
)
