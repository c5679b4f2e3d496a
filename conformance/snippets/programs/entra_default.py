"""Started by `daypass agent entra`: to azure-identity the agent is the managed identity of an App Service."""

import sys

from azure.identity import DefaultAzureCredential

print(DefaultAzureCredential().get_token(sys.argv[1]).token)
