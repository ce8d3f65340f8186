//! OTLP over gRPC: the three collector services. Called by `console::start`. Only decoding and answers; what is kept is
//! `ingest`'s business.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::{MAX_IN_FLIGHT, MAX_MESSAGE, REQUEST_TIMEOUT};
use crate::console::convert::Rejected;
use crate::console::guard::Guard;
use crate::console::ingest::Ingest;

#[derive(Debug, Clone)]
struct Service(Arc<Ingest>);

/// The trace answer; empty when all was kept.
pub(crate) fn trace_response(rejected: Rejected) -> ExportTraceServiceResponse {
    let partial_success = (rejected.count > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(rejected.count).unwrap_or(i64::MAX),
        error_message: rejected.reason,
    });
    ExportTraceServiceResponse { partial_success }
}

/// The log answer; empty when all was kept.
pub(crate) fn logs_response(rejected: Rejected) -> ExportLogsServiceResponse {
    let partial_success = (rejected.count > 0).then(|| ExportLogsPartialSuccess {
        rejected_log_records: i64::try_from(rejected.count).unwrap_or(i64::MAX),
        error_message: rejected.reason,
    });
    ExportLogsServiceResponse { partial_success }
}

/// The metrics answer; empty when all was kept.
pub(crate) fn metrics_response(rejected: Rejected) -> ExportMetricsServiceResponse {
    let partial_success = (rejected.count > 0).then(|| ExportMetricsPartialSuccess {
        rejected_data_points: i64::try_from(rejected.count).unwrap_or(i64::MAX),
        error_message: rejected.reason,
    });
    ExportMetricsServiceResponse { partial_success }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(trace_response(self.0.traces(request.into_inner()))))
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        Ok(Response::new(logs_response(self.0.logs(request.into_inner()))))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(metrics_response(self.0.metrics(request.into_inner()))))
    }
}

/// Serves until `stop`.
///
/// # Errors
/// When the transport fails.
pub(crate) async fn serve(
    listener: TcpListener,
    ingest: Arc<Ingest>,
    guard: Guard,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    #[allow(clippy::result_large_err, reason = "tonic's interface")]
    let check = move |request: Request<()>| {
        if guard.bearer(request.metadata().get("authorization").map(|value| value.as_bytes())) {
            Ok(request)
        } else {
            Err(Status::unauthenticated("a token is needed: authorization: Bearer T"))
        }
    };
    let service = Service(ingest);
    let traces = TraceServiceServer::new(service.clone());
    let logs = LogsServiceServer::new(service.clone());
    let metrics = MetricsServiceServer::new(service);
    let traces = traces.accept_compressed(Gzip).max_decoding_message_size(MAX_MESSAGE);
    let logs = logs.accept_compressed(Gzip).max_decoding_message_size(MAX_MESSAGE);
    let metrics = metrics.accept_compressed(Gzip).max_decoding_message_size(MAX_MESSAGE);
    Server::builder()
        .timeout(REQUEST_TIMEOUT)
        .layer(tower::limit::GlobalConcurrencyLimitLayer::new(MAX_IN_FLIGHT))
        .add_service(InterceptedService::new(traces, check.clone()))
        .add_service(InterceptedService::new(logs, check.clone()))
        .add_service(InterceptedService::new(metrics, check))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned())
        .await
}
