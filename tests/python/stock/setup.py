from setuptools import setup

setup(
    name='stock-plugin',
    version='1.0',
    packages=['stock_plugin'],
    install_requires=['cloudify-common==7.0.5'],
)
