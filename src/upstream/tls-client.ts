import type { AnswerHandler, UpstreamClient, UpstreamRequest } from './client.ts'

const GRPC = /^content-type: application\/grpc(?:[+;][^\r]*)?\r$/im

/** An upstream over TLS: gRPC has HTTP/2, which it needs, and everything else HTTP/1.1, which everybody speaks. */
export class TlsClient implements UpstreamClient {
  private readonly http1: UpstreamClient
  private readonly http2: UpstreamClient

  constructor(http1: UpstreamClient, http2: UpstreamClient) {
    this.http1 = http1
    this.http2 = http2
  }

  dispatch(request: UpstreamRequest, handler: AnswerHandler): void {
    const isGrpc = request.method === 'POST' && GRPC.test(request.headers)
    ;(isGrpc ? this.http2 : this.http1).dispatch(request, handler)
  }

  async close(): Promise<void> {
    await Promise.all([this.http1.close(), this.http2.close()])
  }

  async destroy(): Promise<void> {
    await Promise.all([this.http1.destroy(), this.http2.destroy()])
  }
}
