from setuptools import setup

# It does not ask for cloudify-common, as many plugins do not.
setup(
    name='author-plugin',
    version='1.0',
    packages=['author_plugin'],
    package_dir={'': 'src'},
)
