// Charges once with Stripe's own client, at the port that is given, and prints what it got.

const Stripe = require('stripe');

const client = new Stripe('sk_test_node', {
  host: '127.0.0.1',
  port: process.argv[2],
  protocol: 'http',
  maxNetworkRetries: 4,
  telemetry: false,
});

client.charges
  .create({ amount: 1200, currency: 'eur', source: 'tok_visa' })
  .then((charge) => {
    const replayed = charge.lastResponse.headers['idempotent-replayed'];
    console.log(JSON.stringify({ id: charge.id, amount: charge.amount, replayed }));
  });
