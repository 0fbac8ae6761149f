import type { VNode } from 'preact'
import type { Control } from '../control.ts'
import type { LoggedCall } from '../http/call-log.ts'
import type { BucketState } from '../http/rate-limit.ts'
import { iso } from '../management/render.ts'
import type { Org } from '../model/org.ts'
import type { OrgApp, OrgGroup, Person } from '../model/types.ts'
import { page } from './layout.tsx'

const PEOPLE_SHOWN = 100
const CALLS_SHOWN = 40

/** The admin page: people, groups, app assignments, calls received, remaining budgets. Plain forms, no script. */
export function consolePage(control: Control, url: string): string {
  const { org } = control
  return page(
    'Okta emulator',
    <main>
      <h1>Okta emulator</h1>
      <p>
        Issuer <code>{url}</code>
        {[...org.authorizationServers.keys()].map((id) => (
          <span key={id}>
            {' '}
            and <code>{`${url}/oauth2/${id}`}</code>
          </span>
        ))}
        . <a href="/">Refresh</a>
      </p>
      <People org={org} />
      <Apps org={org} />
      <Budgets buckets={control.buckets()} />
      <Calls calls={control.calls().slice(-CALLS_SHOWN).toReversed()} />
      <h2>Start over</h2>
      <Act to="reset" fields={{}} label="Reset to the seed" />
    </main>,
  )
}

function Act(props: {
  readonly to: string
  readonly fields: Readonly<Record<string, string>>
  readonly label: string
  /** What the button is about, when its text alone does not say. */
  readonly about?: string
}): VNode {
  return (
    <form class="inline" method="post" action={`/control/${props.to}`}>
      <input type="hidden" name="back" value="page" />
      {Object.entries(props.fields).map(([name, value]) => (
        <input type="hidden" name={name} value={value} key={name} />
      ))}
      <button aria-label={props.about && `${props.label}: ${props.about}`}>{props.label}</button>
    </form>
  )
}

function People({ org }: { readonly org: Org }): VNode {
  const people = org.people.slice(undefined, PEOPLE_SHOWN).toSorted((a, b) => a.login.localeCompare(b.login))
  const groups = org.groups
    .ordered()
    .filter((group) => group.type !== 'BUILT_IN')
    .toSorted((a, b) => a.name.localeCompare(b.name))
  return (
    <>
      <h2>People</h2>
      <div class="scroll">
        <table>
          <caption>
            {people.length} of {org.people.size}. A status change never changes memberships.
          </caption>
          <thead>
            <tr>
              <th scope="col">Person</th>
              <th scope="col">Status</th>
              <th scope="col">Groups</th>
            </tr>
          </thead>
          <tbody>
            {people.map((person) => (
              <PersonRow person={person} groups={groups} org={org} key={person.id} />
            ))}
          </tbody>
        </table>
      </div>
      <AddForm to="people" name="login" label="Login of a new person" />
      <AddForm to="groups" name="name" label="Name of a new group" />
    </>
  )
}

function PersonRow(props: { readonly person: Person; readonly groups: readonly OrgGroup[]; readonly org: Org }): VNode {
  const { person, groups, org } = props
  const mine = new Set(org.groupsOf(person.id).map((group) => group.id))
  const actions = STATUS_ACTIONS[person.status === 'ACTIVE' || person.status === 'SUSPENDED' ? person.status : 'OTHER']
  return (
    <tr>
      <th scope="row">
        {person.firstName} {person.lastName}
        <br />
        <code>{person.login}</code>
        <br />
        <code class="soft">{person.id}</code>
      </th>
      <td>
        <strong class={person.status}>{person.status}</strong>
        <br />
        {actions.map(([label, status]) => (
          <Act to="status" fields={{ user: person.id, status }} label={label} about={person.login} key={label} />
        ))}
      </td>
      <td>
        <span class="soft">Everyone</span>{' '}
        {groups.map((group) => {
          const member = mine.has(group.id)
          return (
            <Act
              to="memberships"
              fields={{ group: group.id, user: person.id, member: String(!member) }}
              label={`${member ? 'Remove from' : 'Add to'} ${group.name}`}
              about={person.login}
              key={group.id}
            />
          )
        })}
      </td>
    </tr>
  )
}

const STATUS_ACTIONS = {
  ACTIVE: [
    ['Suspend', 'SUSPENDED'],
    ['Deactivate', 'DEPROVISIONED'],
  ],
  SUSPENDED: [
    ['Unsuspend', 'ACTIVE'],
    ['Deactivate', 'DEPROVISIONED'],
  ],
  OTHER: [['Activate', 'ACTIVE']],
} as const

function AddForm(props: { readonly to: string; readonly name: string; readonly label: string }): VNode {
  const id = `add-${props.to}`
  return (
    <form method="post" action={`/control/${props.to}`}>
      <input type="hidden" name="back" value="page" />
      <label for={id}>{props.label}</label>
      <input id={id} name={props.name} required /> <button>Add</button>
    </form>
  )
}

function Apps({ org }: { readonly org: Org }): VNode {
  return (
    <>
      <h2>Applications</h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Application</th>
              <th scope="col">Redirect URIs</th>
              <th scope="col">Assigned to</th>
            </tr>
          </thead>
          <tbody>
            {org.apps.ordered().map((app) => (
              <AppRow app={app} org={org} key={app.id} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}

function AppRow({ app, org }: { readonly app: OrgApp; readonly org: Org }): VNode {
  const assigned = new Set(org.assignments(app.id).map(({ id }) => id))
  const people = org.people.slice(undefined, PEOPLE_SHOWN).filter((person) => assigned.has(person.id))
  return (
    <tr>
      <th scope="row">
        {app.label}
        <br />
        <code>{app.id}</code>
      </th>
      <td>
        {app.redirectUris.map((uri) => (
          <div key={uri}>
            <code>{uri}</code>
          </div>
        ))}
      </td>
      <td>
        {org.groups.ordered().map((group) => (
          <Act
            to="assignments"
            fields={{ app: app.id, to: group.id, assigned: String(!assigned.has(group.id)) }}
            label={`${assigned.has(group.id) ? 'Unassign' : 'Assign'} ${group.name}`}
            about={app.label}
            key={group.id}
          />
        ))}
        {people.map((person) => (
          <Act
            to="assignments"
            fields={{ app: app.id, to: person.id, assigned: 'false' }}
            label={`Unassign ${person.login}`}
            about={app.label}
            key={person.id}
          />
        ))}
      </td>
    </tr>
  )
}

function Budgets({ buckets }: { readonly buckets: readonly BucketState[] }): VNode {
  return (
    <>
      <h2>Rate budget</h2>
      {buckets.length === 0 ? (
        <p class="soft">No call in the last minute: every bucket is full.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Bucket</th>
              <th scope="col">Scope</th>
              <th scope="col">Remaining</th>
              <th scope="col">Refused</th>
            </tr>
          </thead>
          <tbody>
            {buckets.map((bucket) => (
              <tr key={`${bucket.bucket} ${bucket.scope}`}>
                <th scope="row">
                  <code>{bucket.bucket}</code>
                </th>
                <td>
                  <code>{bucket.scope}</code>
                </td>
                <td>
                  <meter value={bucket.remaining} max={bucket.limit} aria-label={`${bucket.bucket}, ${bucket.scope}`} />{' '}
                  {bucket.remaining} of {bucket.limit}
                </td>
                <td>{bucket.refused}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  )
}

function Calls({ calls }: { readonly calls: readonly LoggedCall[] }): VNode {
  return (
    <>
      <h2>Calls received</h2>
      <div class="scroll">
        <table>
          <caption>The last {CALLS_SHOWN}, newest first.</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Call</th>
              <th scope="col">Status</th>
              <th scope="col">Bucket</th>
            </tr>
          </thead>
          <tbody>
            {calls.map((call) => (
              <tr key={call.requestId}>
                <td>{iso(call.at).slice(11, 23)}</td>
                <td>
                  <code>
                    {call.method} {call.path}
                  </code>
                </td>
                <td>{call.status}</td>
                <td>
                  <code>{call.bucket ?? '–'}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}
