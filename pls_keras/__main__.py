"""`python -m pls_keras …`."""

from pls_keras.cli import main

main()
