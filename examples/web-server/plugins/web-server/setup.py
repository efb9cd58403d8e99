from setuptools import setup

setup(
    name='web-server-plugin',
    version='1.0.0',
    description='Serves a directory over HTTP: the example plugin',
    packages=['web_server'],
    install_requires=['cloudify-common==7.0.5'],
)
