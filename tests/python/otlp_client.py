"""A foreign OTLP client: exports one span, one log record and one metric, then exits.

Usage: otlp_client.py grpc|http ENDPOINT SERVICE. Run by tests/console_foreign_client.rs; prints the trace id in hex.
"""

import logging
import sys

from opentelemetry import metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor


def exporters(protocol, endpoint):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return (
            OTLPSpanExporter(endpoint=endpoint, insecure=True),
            OTLPLogExporter(endpoint=endpoint, insecure=True),
            OTLPMetricExporter(endpoint=endpoint, insecure=True),
        )
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return (
        OTLPSpanExporter(endpoint=endpoint + "/v1/traces", compression=Compression.Gzip),
        OTLPLogExporter(endpoint=endpoint + "/v1/logs"),
        OTLPMetricExporter(endpoint=endpoint + "/v1/metrics", compression=Compression.Gzip),
    )


def main():
    protocol, endpoint, service = sys.argv[1:4]
    span_exporter, log_exporter, metric_exporter = exporters(protocol, endpoint)
    resource = Resource.create({"service.name": service})

    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(SimpleSpanProcessor(span_exporter))
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(log_exporter))
    meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(metric_exporter)])

    logger = logging.getLogger("foreign")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=loggers))
    counter = meters.get_meter("foreign").create_counter("foreign.requests", unit="{request}")
    histogram = meters.get_meter("foreign").create_histogram("foreign.duration", unit="s")

    with tracers.get_tracer("foreign").start_as_current_span("foreign work", attributes={"answer": 42}) as span:
        span.add_event("thought", {"deep": True})
        logger.warning("hello from %s", protocol)
        counter.add(3, {"protocol": protocol})
        histogram.record(0.2, {"protocol": protocol})
        print(f"{span.get_span_context().trace_id:032x}")

    for provider in (tracers, loggers, meters):
        provider.shutdown()


main()
