from setuptools import setup

setup(
    name='bench-plugin',
    version='1.0',
    py_modules=['bench_plugin'],
    install_requires=['cloudify-common==7.0.5'],
)
