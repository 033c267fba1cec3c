"""Charges once with Stripe's own client, at the port that is given, and prints what it got."""

import json
import sys

import stripe

client = stripe.StripeClient(
    "sk_test_python",
    base_addresses={"api": f"http://127.0.0.1:{sys.argv[1]}"},
    max_network_retries=4,
)
charge = client.v1.charges.create({"amount": 1100, "currency": "eur", "source": "tok_visa"})
headers = {name.lower(): value for name, value in charge.last_response.headers.items()}
print(json.dumps({"id": charge.id, "amount": charge.amount, "replayed": headers.get("idempotent-replayed")}))
