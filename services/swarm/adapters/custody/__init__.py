"""The custodian's parts: what is due to be erased from the logs, and the erasing."""
