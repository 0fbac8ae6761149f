import type { VNode } from 'preact'
import type { HookDelivery } from '../hooks/delivery.ts'
import type { EventHook } from '../hooks/registry.ts'
import type { LogEvent } from '../log/log-event.ts'
import { iso } from '../management/render.ts'
import { Act } from './act.tsx'

/** What the System Log has, newest arrival first; times are those of `published`, UTC. */
export function SystemLogSection({ events }: { readonly events: readonly LogEvent[] }): VNode {
  return (
    <section>
      <h2>System Log</h2>
      <p class="soft small">Newest arrival first. Events can arrive out of order.</p>
      <div class="status">
        <Act to="event-delays" fields={{ by: '60000' }} label="Events come a minute late" />
        <Act to="event-delays" fields={{ clear: 'true' }} label="Events come in time" />
        <Act to="log-cursors" fields={{}} label="Refuse all cursors given out" />
      </div>
      {events.length > 0 && (
        <ol class="calls">
          {events.map((event) => (
            <li key={event.uuid}>
              <span class="soft">{event.published.slice(11, 19)}</span>
              <code>{event.eventType}</code>
              <span class="wide" />
              <span class="soft small">{targetNames(event)}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}

/** Event hooks and their deliveries; newest attempt first. */
export function HooksSection(props: {
  readonly hooks: readonly Pick<EventHook, 'id' | 'name' | 'uri' | 'status' | 'verificationStatus'>[]
  readonly deliveries: readonly HookDelivery[]
}): VNode {
  const { hooks, deliveries } = props
  return (
    <section>
      <h2>Event hooks</h2>
      {hooks.length === 0 && <p class="soft small">No event hook is registered.</p>}
      {hooks.map((hook) => (
        <p class="small" key={hook.id}>
          {hook.name} <code>{hook.uri}</code> {hook.status}, {hook.verificationStatus}
        </p>
      ))}
      <div class="status">
        <Act to="hook-behaviour" fields={BAD_WEATHER} label="Duplicate, lose and reorder" />
        <Act to="hook-behaviour" fields={GOOD_WEATHER} label="Deliver well" />
      </div>
      {deliveries.length > 0 && (
        <ol class="calls">
          {deliveries.map((delivery, index) => (
            <li key={index}>
              <span class="soft">{iso(delivery.at).slice(11, 19)}</span>
              <code>{delivery.uri}</code>
              <span>{delivery.result}</span>
              <span class="wide soft small">
                {delivery.events} {delivery.events === 1 ? 'event' : 'events'}, attempt {delivery.attempt}
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}

const BAD_WEATHER = { duplicates: '0.5', losses: '0.2', reorder: 'true' }
const GOOD_WEATHER = { duplicates: '0', losses: '0', reorder: 'false', delay: '0' }

function targetNames({ target }: LogEvent): string {
  return target.map(({ type, displayName }) => `${type} ${displayName}`).join(', ')
}
