import type { Control } from '../control.ts'
import { Act } from './act.tsx'
import { Applications } from './applications.tsx'
import { Mark, page } from './layout.tsx'
import { People } from './people.tsx'
import { HooksSection, SystemLogSection } from './signals.tsx'
import { Budgets, Calls } from './traffic.tsx'

const CALLS_SHOWN = 40
const EVENTS_SHOWN = 30
const DELIVERIES_SHOWN = 20

/** The admin page: people, groups, app assignments, budgets, System Log, event hooks, calls. Plain forms, no script. */
export function consolePage(control: Control, url: string): string {
  const { org } = control
  const issuers = [url, ...[...org.authorizationServers.keys()].map((id) => `${url}/oauth2/${id}`)]
  return page(
    'Okta emulator',
    <main class="console">
      <header>
        <Mark size={44} />
        <div>
          <h1>Okta emulator</h1>
          <p class="soft">A made-up org. Changes take effect at once, as at Okta. Nothing is saved.</p>
          <p class="soft small">
            {issuers.length === 1 ? 'Issuer: ' : 'Issuers: '}
            {issuers.map((issuer, index) => (
              <span key={issuer}>
                {index > 0 && ', '}
                <code>{issuer}</code>
              </span>
            ))}
          </p>
        </div>
        <div class="status">
          <a href="/">Refresh</a>
          <Act to="reset" fields={{}} label="Start over" />
        </div>
      </header>
      <People org={org} />
      <Applications org={org} />
      <Budgets buckets={control.buckets()} />
      <SystemLogSection events={control.logEvents(EVENTS_SHOWN)} />
      <HooksSection
        hooks={control.hooks()}
        deliveries={control.hookDeliveries().slice(-DELIVERIES_SHOWN).toReversed()}
      />
      <Calls calls={control.calls().slice(-CALLS_SHOWN).toReversed()} />
    </main>,
  )
}
