/** The part of @grpc/grpc-js that tests use; its messages are bytes. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { EventEmitter } from 'node:events'
import { installed } from './installed.ts'

export const grpcJs = installed('grpc-js', { from: 'npm', packages: ['@grpc/grpc-js@1.14.7'] })

export interface Metadata {
  get(name: string): readonly (string | Buffer)[]
  set(name: string, value: string | Buffer): void
}

export interface Status {
  readonly code: number
  readonly details: string
  readonly metadata: Metadata
}

/** A call, of either side. */
export interface Call extends EventEmitter {
  readonly metadata: Metadata
  readonly request: Buffer
  readonly cancelled: boolean
  sendMetadata(metadata: Metadata): void
  write(message: Buffer): boolean
  end(trailers?: Metadata): void
  cancel(): void
}

export interface UnaryCallback {
  (error: Partial<Status> | null, message?: Buffer, trailers?: Metadata): void
}

export interface Client {
  makeUnaryRequest(...request: readonly [...Method, Buffer, Metadata, object, UnaryCallback]): Call
  makeServerStreamRequest(...request: readonly [...Method, Buffer, Metadata, object]): Call
  makeClientStreamRequest(...request: readonly [...Method, Metadata, object, UnaryCallback]): Call
  makeBidiStreamRequest(...request: readonly [...Method, Metadata, object]): Call
  close(): void
}

export interface Server {
  addService(definition: object, handlers: object): void
  bindAsync(address: string, credentials: object, done: (error: Error | null, port: number) => void): void
  forceShutdown(): void
}

interface GrpcJs {
  readonly Server: new () => Server
  readonly Client: new (address: string, credentials: object, options: object) => Client
  readonly Metadata: new () => Metadata
  readonly ServerCredentials: {
    createInsecure(): object
    createSsl(root: null, pairs: readonly { readonly private_key: Buffer; readonly cert_chain: Buffer }[]): object
  }
  readonly credentials: { createInsecure(): object; createSsl(root: Buffer): object }
}

/** Call it when it is installed. */
export function loadGrpcJs(): GrpcJs {
  const require = createRequire(join(grpcJs.bin ?? '', '../'))
  return require('@grpc/grpc-js') as GrpcJs
}

const bytes = (message: Buffer): Buffer => message

export type Method = readonly [path: string, serialize: typeof bytes, deserialize: typeof bytes]

export const method = (path: string): Method => [path, bytes, bytes]

export function definition(path: string, requestStream: boolean, responseStream: boolean): object {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  }
}
