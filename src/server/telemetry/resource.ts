import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { TelemetryConfig } from '../../config/model.ts'
import { numberAttribute, type Sender, textAttribute } from './otlp.ts'

/** Who sends it (https://opentelemetry.io/docs/specs/semconv/resource/). What is configured counts more. */
export function senderOf({ serviceName, attributes }: TelemetryConfig, version: string): Sender {
  const all = new Map([
    ['service.name', textAttribute('service.name', 'postern')],
    ['service.version', textAttribute('service.version', version)],
    // Of one process: several of a machine are several.
    ['service.instance.id', textAttribute('service.instance.id', randomUUID())],
    ['host.name', textAttribute('host.name', hostname())],
    ['process.pid', numberAttribute('process.pid', process.pid)],
    ['telemetry.sdk.name', textAttribute('telemetry.sdk.name', 'postern')],
    ['telemetry.sdk.language', textAttribute('telemetry.sdk.language', 'nodejs')],
    ['telemetry.sdk.version', textAttribute('telemetry.sdk.version', version)],
    ...attributes.map(([name, value]) => [name, textAttribute(name, value)] as const),
    // Written on its own it counts more than among the attributes; its default does not.
    ...(serviceName === 'postern' ? [] : [['service.name', textAttribute('service.name', serviceName)] as const]),
  ])
  return { resource: { attributes: [...all.values()] }, scope: { name: 'postern', version } }
}
