import type { Config, Fixed, Live } from '../config/model.ts'
import type { Condition } from '../http/condition.ts'
import type { StreamRegistry } from '../http/exchange.ts'
import type { UpstreamState } from '../http/upstream-state.ts'
import type { Clock } from '../types.ts'
import type { DirectoryState } from './directory-metrics.ts'
import type { Component } from './health.ts'
import { needsRestart } from './reload.ts'
import { configChecksum } from './status.ts'

export interface ConditionSource {
  read(): Condition
  /** Another configuration is in force from now on. */
  replaced(next: Pick<Config, 'fixed' | 'warnings'>): void
  /** A configuration was not taken over. */
  refused(problem: string): void
}

export interface ConditionDeps {
  readonly version: string
  readonly fixed: Fixed
  readonly live: () => Live
  /** Of the first configuration. */
  readonly warnings?: readonly string[] | undefined
  readonly components: () => readonly Component[]
  readonly upstreams: () => readonly UpstreamState[]
  readonly directoryState: () => Pick<DirectoryState, 'people' | 'buckets'>
  readonly directories: () => Condition['directories']
  readonly streams: Pick<StreamRegistry, 'size'>
  readonly clock: Clock
}

/** What the status page says of this process. */
export function createCondition(deps: ConditionDeps): ConditionSource {
  const { version, fixed, live, components, upstreams, directoryState, directories, streams, clock } = deps
  const startedAt = clock.now()
  let inForceSince = startedAt
  let { warnings = [] } = deps
  let waiting: readonly string[] = []
  let refusal: Condition['configuration']['refused']
  return {
    read() {
      const { people, buckets } = directoryState()
      return {
        version,
        process: process.pid,
        startedAt,
        shared: fixed.workers !== 1,
        components: components(),
        upstreams: upstreams(),
        limits: buckets,
        people,
        directories: directories(),
        streams: streams.size,
        configuration: {
          checksum: configChecksum(fixed, live()),
          inForceSince,
          routes: live().routes.length,
          warnings,
          needsRestart: waiting,
          ...(refusal && { refused: refusal }),
        },
      }
    },
    replaced(next) {
      ;({ warnings = [] } = next)
      waiting = needsRestart(fixed, next.fixed)
      inForceSince = clock.now()
      refusal = undefined
    },
    refused(problem) {
      refusal = { at: clock.now(), problem }
    },
  }
}
