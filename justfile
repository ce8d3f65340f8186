# Every habit of this project, one line each.

# Run everything on the embedded backend; Ctrl-C stops it
up *args:
    cargo run -- up {{args}}

# The tests
test *args:
    cargo test {{args}}

# Everything CI checks
check:
    .ci/run

# Prove the contract against what is running
verify *args:
    cargo run -q -- verify {{args}}

# What this machine has and lacks for each run mode
doctor:
    cargo run -q -- doctor

# Speed, memory and loss at 2,000 requests/s for 60 s, release build
bench:
    cargo bench --bench accounting

# Take the README's picture from the running page
pictures:
    SIGNALBOX_PICTURES=docs/images cargo test --test page_in_a_real_browser

# Get the real backends without Nix or Docker: built, found or named as missing (names: core lgtm aws tools or a program)
backends *names:
    backends/get {{names}}

# Run the real stack natively (core, lgtm or aws; --for 60s --verify --tui); Ctrl-C stops it in order
stack *args:
    backends/stack {{args}}

# Stop the real stack from elsewhere
stack-down:
    backends/stack down

# Stop it and delete its data
stack-reset:
    backends/stack reset

# Prove the real stack: contract, faults, every variant this machine can run
stack-test *args:
    cargo test --test 'stack_*' -- --ignored --test-threads 1 --nocapture {{args}}

# Write dashboards and alert rules from their typed sources
dashboards:
    cargo run -q -- dashboards

# Rules of the SLOs from configs/prometheus/slo.yaml, by sloth (`just backends` builds it)
slo:
    cargo run -q -- dashboards
    PATH="$HOME/.cache/signalbox/backends/bin:$PATH" sloth --no-log generate -i configs/prometheus/slo.yaml -o configs/prometheus/rules/slo.yaml

# Terraform: format, validate, tests with a mocked AWS, real applies to a stand-in, linters
tf:
    terraform/tests/run

# The stack on AWS, by the hour (docs/aws.md): apply and wait until it is healthy
[positional-arguments]
aws-up *args:
    terraform/aws up "$@"

# Destroy what costs by the hour; network, data and images stay
[positional-arguments]
aws-down *args:
    terraform/aws down "$@"

# Prove the contract against the load balancer, through Grafana's API
[positional-arguments]
aws-verify *args:
    terraform/aws verify "$@"
