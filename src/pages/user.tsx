import { describeDuration } from '../lib/duration.ts'
import type { Json, JsonObject, WallTime } from '../types.ts'
import { type PageModel, renderPage, Time } from './layout.tsx'
import { OwnSessions, type OwnSession } from './own-sessions.tsx'
import { ago, ButtonLink, Groups, type GroupsReading, type PersonModel, SignOutForm, named } from './parts.tsx'
import { elapsed } from '../lib/time.ts'

/** All sessions of the person, where no application's script can read or end them: at the sign-in service. */
export type KnownSessions =
  | { readonly kind: 'listed'; readonly list: readonly OwnSession[] }
  | { readonly kind: 'elsewhere'; readonly url: string }

export interface UserModel extends PageModel {
  readonly person: PersonModel
  readonly issuer: string
  readonly session: { readonly createdAt: WallTime; readonly expiresAt: WallTime }
  readonly sessions: KnownSessions
  readonly groups: GroupsReading
  readonly claims: JsonObject
  readonly csrfToken: string
}

/** A claim longer than this is cut: a page is for reading. */
const MAX_CLAIM = 300
const MAX_CLAIMS = 60

/** What Postern knows about the person who looks. */
export function userPage(model: UserModel): string {
  const { person, issuer, session, sessions, groups, claims, csrfToken, controlPrefix, now } = model
  return renderPage(model, {
    title: 'Your account',
    tone: 'good',
    badge: 'Signed in',
    heading: person.name ?? person.email ?? 'Your account',
    children: (
      <>
        <p class="lead">{named('This is what the applications behind Postern can learn about you.', model)}</p>
        <section>
          <h2>You</h2>
          <dl>
            <dt>E-mail</dt>
            <dd>{person.email ?? 'No verified address'}</dd>
            <dt>User id</dt>
            <dd>
              <code>{person.subject}</code>
            </dd>
            <dt>Signed in at</dt>
            <dd>{issuer}</dd>
          </dl>
        </section>
        <section>
          <h2>Your groups</h2>
          <Groups reading={groups} now={now} />
        </section>
        <section>
          <h2>This session</h2>
          <dl>
            <dt>Began</dt>
            <dd>
              {ago(elapsed(now, session.createdAt))}{' '}
              <span>
                <Time at={session.createdAt} />
              </span>
            </dd>
            <dt>Ends</dt>
            <dd>
              in {describeDuration(Math.max(0, elapsed(session.expiresAt, now)))}{' '}
              <span>
                <Time at={session.expiresAt} />
              </span>
            </dd>
          </dl>
        </section>
        <section>
          <h2>Where you are signed in</h2>
          {sessions.kind === 'listed' ? (
            <OwnSessions sessions={sessions.list} controlPrefix={controlPrefix} csrfToken={csrfToken} now={now} />
          ) : (
            <ButtonLink href={sessions.url} quiet>
              Show all sessions
            </ButtonLink>
          )}
        </section>
        <section>
          <details>
            <summary>Details from the identity provider</summary>
            <dl>
              {Object.entries(claims)
                .slice(0, MAX_CLAIMS)
                .map(([name, value]) => (
                  <>
                    <dt>{name}</dt>
                    <dd>
                      <code>{claimText(value)}</code>
                    </dd>
                  </>
                ))}
            </dl>
          </details>
          <div class="actions">
            <SignOutForm
              controlPrefix={controlPrefix}
              csrfToken={csrfToken}
              everywhereAt={sessions.kind === 'elsewhere' ? sessions.url : undefined}
            />
            <ButtonLink href={`${controlPrefix}/`} quiet>
              Your applications
            </ButtonLink>
          </div>
        </section>
      </>
    ),
  })
}

function claimText(value: Json): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > MAX_CLAIM ? `${text.slice(0, MAX_CLAIM)}…` : text
}
