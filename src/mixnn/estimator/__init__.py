"""The door for scikit-learn: a classifier for partly wrong labels."""
