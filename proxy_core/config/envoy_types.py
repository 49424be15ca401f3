"""The names of all messages that Envoy 1.40 takes in a `typed_config`, read from the running program.

Only used to tell a type that does not exist from one that this package does not support yet. The list is the
`type_urls` of `node.extensions` in Envoy's /config_dump, plus the two TypedStruct wrappers.
"""

from __future__ import annotations

from typing import FrozenSet, Set

# A line without indent is a prefix; the words below it are the names behind that prefix.
_NAMES = """
envoy.config.bootstrap:
  v3.ListenerManager v3.ValidationListenerManager
envoy.config.core:
  v3.HealthCheck.GrpcHealthCheck v3.HealthCheck.HttpHealthCheck v3.HealthCheck.TcpHealthCheck
  v3.SubstitutionFormatString
envoy.config.metrics:
  v3.DogStatsdSink v3.HystrixSink v3.MetricsServiceConfig v3.StatsdSink
envoy.config.trace:
  v3.DatadogConfig v3.OpenTelemetryConfig v3.SkyWalkingConfig v3.XRayConfig v3.ZipkinConfig
envoy.config.upstream:
  local_address_selector.v3.DefaultLocalAddressSelector
envoy.extensions.access_loggers:
  dynamic_modules.v3.DynamicModuleAccessLog file.v3.FileAccessLog filters.cel.v3.ExpressionFilter
  filters.process_ratelimit.v3.ProcessRateLimitFilter fluentd.v3.FluentdAccessLogConfig
  grpc.v3.HttpGrpcAccessLogConfig grpc.v3.TcpGrpcAccessLogConfig
  open_telemetry.v3.OpenTelemetryAccessLogConfig stats.v3.Config stream.v3.StderrAccessLog
  stream.v3.StdoutAccessLog wasm.v3.WasmAccessLog
envoy.extensions.bootstrap:
  dynamic_modules.v3.DynamicModuleBootstrapExtension internal_listener.v3.InternalListener
  reverse_tunnel.downstream_socket_interface.v3.DownstreamReverseConnectionSocketInterface
  reverse_tunnel.upstream_socket_interface.v3.UpstreamReverseConnectionSocketInterface
envoy.extensions.clusters:
  aggregate.v3.ClusterConfig composite.v3.ClusterConfig dns.v3.DnsCluster
  dynamic_forward_proxy.v3.ClusterConfig dynamic_modules.v3.ClusterConfig
  mcp_multicluster.v3.ClusterConfig original_dst.v3.OriginalDstCluster redis.v3.RedisClusterConfig
  reverse_connection.v3.ReverseConnectionClusterConfig
envoy.extensions.common:
  matching.v3.ExtensionWithMatcher matching.v3.ExtensionWithMatcherPerRoute
envoy.extensions.compression:
  brotli.compressor.v3.Brotli brotli.decompressor.v3.Brotli gzip.compressor.v3.Gzip
  gzip.decompressor.v3.Gzip zstd.compressor.v3.Zstd zstd.decompressor.v3.Zstd
envoy.extensions.config:
  validators.dynamic_modules.v3.DynamicModuleConfigValidator
  validators.minimum_clusters.v3.MinimumClustersValidator
envoy.extensions.content_parsers:
  json.v3.JsonContentParser
envoy.extensions.early_data:
  v3.DefaultEarlyDataPolicy
envoy.extensions.filters.http:
  a2a.v3.A2a adaptive_concurrency.v3.AdaptiveConcurrency admission_control.v3.AdmissionControl
  ai_protocol_manager.v3.AiProtocolManager ai_protocol_manager.v3.AiProtocolManagerPerRoute
  alternate_protocols_cache.v3.FilterConfig api_key_auth.v3.ApiKeyAuth api_key_auth.v3.ApiKeyAuthPerRoute
  aws_eventstream_parser.v3.AwsEventstreamParser aws_lambda.v3.Config aws_lambda.v3.PerRouteConfig
  aws_request_signing.v3.AwsRequestSigning aws_request_signing.v3.AwsRequestSigningPerRoute
  bandwidth_limit.v3.BandwidthLimit bandwidth_share.v3.BandwidthShare basic_auth.v3.BasicAuth
  basic_auth.v3.BasicAuthPerRoute body_size_limit.v3.BodySizeLimit buffer.v3.Buffer
  buffer.v3.BufferPerRoute cache.v3.CacheConfig cache_v2.v3.CacheV2Config cdn_loop.v3.CdnLoopConfig
  composite.v3.Composite composite.v3.CompositePerRoute compressor.v3.Compressor
  compressor.v3.CompressorPerRoute connect_grpc_bridge.v3.FilterConfig cors.v3.Cors cors.v3.CorsPolicy
  credential_injector.v3.CredentialInjector csrf.v3.CsrfPolicy custom_response.v3.CustomResponse
  decompressor.v3.Decompressor dynamic_forward_proxy.v3.FilterConfig
  dynamic_forward_proxy.v3.PerRouteConfig dynamic_modules.v3.DynamicModuleFilter
  dynamic_modules.v3.DynamicModuleFilterPerRoute ext_authz.v3.ExtAuthz ext_authz.v3.ExtAuthzPerRoute
  ext_proc.v3.ExtProcPerRoute ext_proc.v3.ExternalProcessor fault.v3.HTTPFault
  file_server.v3.FileServerConfig file_system_buffer.v3.FileSystemBufferFilterConfig
  filter_chain.v3.FilterChainConfig filter_chain.v3.FilterChainConfigPerRoute
  gcp_authn.v3.GcpAuthnFilterConfig geoip.v3.Geoip grpc_field_extraction.v3.GrpcFieldExtractionConfig
  grpc_http1_bridge.v3.Config grpc_http1_reverse_bridge.v3.FilterConfig
  grpc_http1_reverse_bridge.v3.FilterConfigPerRoute
  grpc_json_reverse_transcoder.v3.GrpcJsonReverseTranscoder grpc_json_transcoder.v3.GrpcJsonTranscoder
  grpc_stats.v3.FilterConfig grpc_web.v3.GrpcWeb header_mutation.v3.HeaderMutation
  header_mutation.v3.HeaderMutationPerRoute header_to_metadata.v3.Config health_check.v3.HealthCheck
  ip_tagging.v3.IPTagging json_to_metadata.v3.JsonToMetadata jwt_authn.v3.JwtAuthentication
  jwt_authn.v3.PerRouteConfig local_ratelimit.v3.LocalRateLimit lua.v3.Lua lua.v3.LuaPerRoute mcp.v3.Mcp
  mcp.v3.McpOverride mcp_json_rest_bridge.v3.McpJsonRestBridge
  mcp_json_rest_bridge.v3.McpJsonRestBridgePerRoute mcp_router.v3.McpRouter oauth2.v3.OAuth2
  oauth2.v3.OAuth2PerRoute on_demand.v3.OnDemand on_demand.v3.PerRouteConfig original_src.v3.OriginalSrc
  proto_api_scrubber.v3.ProtoApiScrubberConfig proto_message_extraction.v3.ProtoMessageExtractionConfig
  rate_limit_quota.v3.RateLimitQuotaFilterConfig rate_limit_quota.v3.RateLimitQuotaOverride
  ratelimit.v3.RateLimit ratelimit.v3.RateLimitPerRoute rbac.v3.RBAC rbac.v3.RBACPerRoute router.v3.Router
  set_filter_state.v3.Config set_metadata.v3.Config sse_to_metadata.v3.SseToMetadata
  stateful_session.v3.StatefulSession stateful_session.v3.StatefulSessionPerRoute tap.v3.Tap
  thrift_to_metadata.v3.ThriftToMetadata transform.v3.TransformConfig upstream_codec.v3.UpstreamCodec
  wasm.v3.Wasm
envoy.extensions.filters.listener:
  dynamic_modules.v3.DynamicModuleListenerFilter http_inspector.v3.HttpInspector
  local_ratelimit.v3.LocalRateLimit original_dst.v3.OriginalDst original_src.v3.OriginalSrc
  proxy_protocol.v3.ProxyProtocol set_filter_state.v3.Config tls_inspector.v3.TlsInspector
envoy.extensions.filters.network:
  connection_limit.v3.ConnectionLimit direct_response.v3.Config dubbo_proxy.router.v3.Router
  dubbo_proxy.v3.DubboProxy dynamic_modules.v3.DynamicModuleNetworkFilter echo.v3.Echo
  ext_authz.v3.ExtAuthz ext_proc.v3.NetworkExternalProcessor
  generic_proxy.codecs.dubbo.v3.DubboCodecConfig generic_proxy.codecs.http1.v3.Http1CodecConfig
  generic_proxy.matcher.v3.HostMatchInput generic_proxy.matcher.v3.MethodMatchInput
  generic_proxy.matcher.v3.PathMatchInput generic_proxy.matcher.v3.PropertyMatchInput
  generic_proxy.matcher.v3.RequestMatchInput generic_proxy.matcher.v3.RequestMatcher
  generic_proxy.matcher.v3.ServiceMatchInput generic_proxy.router.v3.Router generic_proxy.v3.GenericProxy
  geoip.v3.Geoip http_connection_manager.v3.HttpConnectionManager
  http_connection_manager.v3.HttpConnectionManager.ForwardClientCertConfig
  local_ratelimit.v3.LocalRateLimit mongo_proxy.v3.MongoProxy ratelimit.v3.RateLimit rbac.v3.RBAC
  redis_proxy.v3.RedisProxy reverse_tunnel.v3.DrainAwareHttpConnectionManager
  reverse_tunnel.v3.ReverseTunnel set_filter_state.v3.Config sni_cluster.v3.SniCluster
  sni_dynamic_forward_proxy.v3.FilterConfig tcp_bandwidth_limit.v3.TcpBandwidthLimit tcp_proxy.v3.TcpProxy
  thrift_proxy.filters.header_to_metadata.v3.HeaderToMetadata
  thrift_proxy.filters.payload_to_metadata.v3.PayloadToMetadata
  thrift_proxy.filters.ratelimit.v3.RateLimit thrift_proxy.router.v3.Router thrift_proxy.v3.ThriftProxy
  wasm.v3.Wasm zookeeper_proxy.v3.ZooKeeperProxy
envoy.extensions.filters.udp:
  dns_filter.v3.DnsFilterConfig dynamic_modules.v3.DynamicModuleUdpListenerFilter
  udp_proxy.session.dynamic_forward_proxy.v3.FilterConfig udp_proxy.session.ext_authz.v3.FilterConfig
  udp_proxy.session.http_capsule.v3.FilterConfig udp_proxy.v3.UdpProxyConfig
envoy.extensions.formatter:
  cel.v3.Cel dynamic_modules.v3.DynamicModuleFormatter file_content.v3.FileContent
  generic_secret.v3.GenericSecret metadata.v3.Metadata req_without_query.v3.ReqWithoutQuery
envoy.extensions.geoip_providers:
  maxmind.v3.MaxMindConfig
envoy.extensions.health_check:
  event_sinks.file.v3.HealthCheckEventFileSink
envoy.extensions.health_checkers:
  dynamic_modules.v3.DynamicModuleHealthCheck redis.v3.Redis thrift.v3.Thrift udp.v3.UdpHealthCheck
envoy.extensions.http:
  ai_filters.request_info.v3.RequestInfo ai_filters.schema_validation.v3.SchemaValidation
  ai_filters.transcoder.v3.Transcoder cache.file_system_http_cache.v3.FileSystemHttpCacheConfig
  cache.simple_http_cache.v3.SimpleHttpCacheConfig
  cache_v2.file_system_http_cache.v3.FileSystemHttpCacheV2Config
  cache_v2.simple_http_cache.v3.SimpleHttpCacheV2Config
  custom_response.local_response_policy.v3.LocalResponsePolicy
  custom_response.redirect_policy.v3.RedirectPolicy
  early_header_mutation.dynamic_modules.v3.DynamicModuleEarlyHeaderMutation
  early_header_mutation.header_mutation.v3.HeaderMutation
  ext_proc.processing_request_modifiers.mapped_attribute_builder.v3.MappedAttributeBuilder
  ext_proc.response_processors.save_processing_response.v3.SaveProcessingResponse
  header_formatters.dynamic_modules.v3.DynamicModuleHeaderFormatter
  header_formatters.preserve_case.v3.PreserveCaseFormatterConfig
  header_validators.envoy_default.v3.HeaderValidatorConfig injected_credentials.generic.v3.Generic
  injected_credentials.oauth2.v3.OAuth2 original_ip_detection.custom_header.v3.CustomHeaderConfig
  original_ip_detection.xff.v3.XffConfig stateful_session.cookie.v3.CookieBasedSessionState
  stateful_session.envelope.v3.EnvelopeSessionState stateful_session.header.v3.HeaderBasedSessionState
envoy.extensions.internal_redirect:
  allow_listed_routes.v3.AllowListedRoutesConfig filter_state.v3.FilterStateConfig
  previous_routes.v3.PreviousRoutesConfig safe_cross_scheme.v3.SafeCrossSchemeConfig
envoy.extensions.key_value:
  file_based.v3.FileBasedKeyValueStoreConfig
envoy.extensions.load_balancing_policies:
  client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin cluster_provided.v3.ClusterProvided
  dynamic_modules.v3.DynamicModulesLoadBalancerConfig least_request.v3.LeastRequest
  load_aware_locality.v3.LoadAwareLocality maglev.v3.Maglev override_host.v3.OverrideHost random.v3.Random
  ring_hash.v3.RingHash round_robin.v3.RoundRobin subset.v3.Subset wrr_locality.v3.WrrLocality
envoy.extensions.local_address_selectors:
  filter_state_override.v3.Config
envoy.extensions.matching:
  common_inputs.environment_variable.v3.Config common_inputs.network.v3.ApplicationProtocolInput
  common_inputs.network.v3.DestinationIPInput common_inputs.network.v3.DestinationPortInput
  common_inputs.network.v3.DirectSourceIPInput common_inputs.network.v3.DynamicMetadataInput
  common_inputs.network.v3.FilterStateInput common_inputs.network.v3.NetworkNamespaceInput
  common_inputs.network.v3.ServerNameInput common_inputs.network.v3.SourceIPInput
  common_inputs.network.v3.SourcePortInput common_inputs.network.v3.SourceTypeInput
  common_inputs.network.v3.TransportProtocolInput common_inputs.ssl.v3.DnsSanInput
  common_inputs.ssl.v3.SubjectInput common_inputs.ssl.v3.UriSanInput
  common_inputs.stats.v3.StatFullNameMatchInput common_inputs.stats.v3.StatTagValueInput
  common_inputs.transport_socket.v3.EndpointMetadataInput
  common_inputs.transport_socket.v3.FilterStateInput
  common_inputs.transport_socket.v3.LocalityMetadataInput
  common_inputs.transport_socket.v3.TransportSocketNameAction
  http.dynamic_modules.v3.DynamicModuleDataInput http.dynamic_modules.v3.HttpDynamicModuleMatchInput
  input_matchers.consistent_hashing.v3.ConsistentHashing
  input_matchers.dynamic_modules.v3.DynamicModuleMatcher input_matchers.ip.v3.Ip
  input_matchers.metadata.v3.Metadata input_matchers.runtime_fraction.v3.RuntimeFraction
envoy.extensions.network:
  dns_resolver.cares.v3.CaresDnsResolverConfig dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig
  dns_resolver.hickory.v3.HickoryDnsResolverConfig socket_interface.sockmap.v3.Sockmap
  socket_interface.v3.DefaultSocketInterface
envoy.extensions.path:
  match.uri_template.v3.UriTemplateMatchConfig rewrite.uri_template.v3.UriTemplateRewriteConfig
envoy.extensions.queue_policy:
  fifo.v3.FifoQueuePolicyConfig
envoy.extensions.quic:
  client_writer_factory.v3.DefaultClientWriter connection_debug_visitor.quic_stats.v3.Config
  connection_debug_visitor.v3.BasicConfig connection_id_generator.quic_lb.v3.Config
  connection_id_generator.v3.DeterministicConnectionIdGeneratorConfig
  crypto_stream.v3.CryptoServerStreamConfig proof_source.v3.ProofSourceConfig
  server_preferred_address.v3.DataSourceServerPreferredAddressConfig
  server_preferred_address.v3.FixedServerPreferredAddressConfig
envoy.extensions.rate_limit_descriptors:
  expr.v3.Descriptor jwt_claim.v3.Descriptor
envoy.extensions.rbac:
  matchers.upstream_ip_port.v3.UpstreamIpPortMatcher principals.mtls_authenticated.v3.Config
envoy.extensions.regex_engines:
  v3.GoogleRE2
envoy.extensions.request_id:
  uuid.v3.UuidRequestIdConfig
envoy.extensions.resource_monitors:
  cgroup_memory.v3.CgroupMemoryConfig cpu_utilization.v3.CpuUtilizationConfig
  fixed_heap.v3.FixedHeapConfig injected_resource.v3.InjectedResourceConfig
envoy.extensions.retry:
  host.omit_canary_hosts.v3.OmitCanaryHostsPredicate host.omit_host_metadata.v3.OmitHostMetadataConfig
  host.previous_hosts.v3.PreviousHostsPredicate priority.previous_priorities.v3.PreviousPrioritiesConfig
envoy.extensions.router:
  cluster_specifiers.dynamic_modules.v3.DynamicModuleClusterSpecifier cluster_specifiers.lua.v3.LuaConfig
  cluster_specifiers.matcher.v3.MatcherClusterSpecifier
  cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier
  route_specifiers.dynamic_modules.v3.DynamicModuleRouteSpecifier
envoy.extensions.stat_sinks:
  dynamic_modules.v3.DynamicModuleStatsSink graphite_statsd.v3.GraphiteStatsdSink
  open_telemetry.v3.SinkConfig wasm.v3.Wasm
envoy.extensions.string_matcher:
  lua.v3.Lua
envoy.extensions.tracers:
  dynamic_modules.v3.DynamicModuleTracer fluentd.v3.FluentdConfig
  opentelemetry.resource_detectors.v3.DynatraceResourceDetectorConfig
  opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig
  opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig
  opentelemetry.samplers.v3.AlwaysOnSamplerConfig opentelemetry.samplers.v3.CELSamplerConfig
  opentelemetry.samplers.v3.DynatraceSamplerConfig opentelemetry.samplers.v3.ParentBasedSamplerConfig
  opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig
envoy.extensions.transport_sockets:
  alts.v3.Alts dynamic_modules.v3.DynamicModuleTransportSocket
  http_11_proxy.v3.Http11ProxyUpstreamTransport internal_upstream.v3.InternalUpstreamTransport
  proxy_protocol.v3.ProxyProtocolUpstreamTransport quic.v3.QuicDownstreamTransport
  quic.v3.QuicUpstreamTransport raw_buffer.v3.RawBuffer starttls.v3.StartTlsConfig
  starttls.v3.UpstreamStartTlsConfig tap.v3.Tap tcp_stats.v3.Config
  tls.cert_mappers.filter_state_override.v3.Config tls.cert_mappers.sni.v3.SNI
  tls.cert_mappers.static_name.v3.StaticName tls.cert_selectors.on_demand_secret.v3.Config
  tls.handshakers.dynamic_modules.v3.DynamicModuleTlsHandshaker tls.v3.DownstreamTlsContext
  tls.v3.UpstreamTlsContext
envoy.extensions.udp_packet_writer:
  v3.UdpDefaultWriterFactory v3.UdpGsoBatchWriterFactory
envoy.extensions.upstreams:
  http.reverse_tunnel.v3.ReverseTunnelUpstreamCodecOptions http.v3.HttpProtocolOptions
  tcp.generic.v3.GenericConnectionPoolProto tcp.v3.TcpProtocolOptions
envoy.extensions.wasm:
  v3.WasmService
envoy.extensions.watchdog:
  backtrace_action.v3.BacktraceActionConfig profile_action.v3.ProfileActionConfig
envoy.type.matcher:
  v3.HttpRequestHeaderMatchInput v3.HttpRequestQueryParamMatchInput v3.HttpRequestTrailerMatchInput
  v3.HttpResponseHeaderMatchInput v3.HttpResponseLocalReplyMatchInput
  v3.HttpResponseStatusCodeClassMatchInput v3.HttpResponseStatusCodeMatchInput
  v3.HttpResponseTrailerMatchInput
envoy.watchdog.v3:
  AbortActionConfig
udpa:
  type.v1.TypedStruct
xds:
  type.matcher.v3.CelMatcher type.matcher.v3.HttpAttributesCelMatchInput type.matcher.v3.IPMatcher
  type.matcher.v3.ServerNameMatcher type.v3.TypedStruct
"""


def _read(text: str) -> FrozenSet[str]:
    names: Set[str] = set()
    prefix = ""
    for line in text.strip().splitlines():
        if line.startswith(" "):
            names.update(f"{prefix}.{word}" for word in line.split())
        else:
            prefix = line.rstrip(":")
    return frozenset(names)


ENVOY_TYPES = _read(_NAMES)  # full names, such as "envoy.extensions.filters.network.echo.v3.Echo"
