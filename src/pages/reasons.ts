import type { Reason } from '../policy/model.ts'

/**
 * Reasons of a denial as sentences for people. The `…-ok` half is here, too: when a `deny` rule matches, its
 * criteria are `…-ok`.
 */
const WORDS: Readonly<Record<Reason, string>> = {
  accept: 'A rule closes this application to everybody at the moment.',
  reject: 'This application is closed to everybody at the moment.',
  public: 'A rule closes this application to everybody at the moment.',
  'signed-in': 'A rule closes this application to people who are signed in.',
  'no-rule-matched': 'No rule of this application lets you in.',
  'policy-error': 'A rule of this application could not be checked, so the answer is no.',
  'user-unauthenticated': 'You are not signed in.',
  'other-identity-provider': 'You are signed in with an identity provider that does not count here.',
  'token-invalid': 'The token that came with the request is not valid.',
  'token-scope': 'The token that came with the request is not for this address or method.',
  'user-inactive': 'Your account is not active.',
  'authentication-insufficient': 'It asks for a stronger or a more recent sign-in.',
  'user-ok': 'A rule blocks your account.',
  'user-unauthorized': 'Your account is not on the list of people who may open it.',
  'email-ok': 'A rule blocks your e-mail address.',
  'email-unauthorized': 'Your e-mail address is not on the list of addresses that may open it.',
  'email-unverified':
    'Your identity provider says that your e-mail address is not verified, so rules about addresses do not count it.',
  'domain-ok': 'A rule blocks your e-mail domain.',
  'domain-unauthorized': 'Your e-mail domain is not on the list of domains that may open it.',
  'groups-ok': 'A rule blocks one of your groups.',
  'groups-unauthorized': 'You are not in a group that may open it.',
  'groups-unknown': 'Your groups could not be read.',
  'groups-claim-absent': 'Your sign-in did not say which groups you are in.',
  'claim-ok': 'A rule blocks a detail of your account.',
  'claim-unauthorized': 'A detail of your account is not the one that this application requires.',
  'service-account-ok': 'A rule blocks this service account.',
  'service-account-unauthorized': 'It opens for certain programs only.',
  'issuer-ok': 'A rule blocks whoever comes from your identity provider.',
  'issuer-unauthorized': 'It does not open for whoever comes from your identity provider.',
  'scope-ok': 'A rule blocks what the token is for.',
  'scope-unauthorized': 'It opens with a token for it only.',
  'http-method-ok': 'This kind of request is not allowed here.',
  'http-method-unauthorized': 'This kind of request is not allowed here.',
  'http-path-ok': 'This part of the application is closed.',
  'http-path-unauthorized': 'You may not open this part of the application.',
  'http-header-ok': 'This kind of request is not allowed here.',
  'http-header-unauthorized': 'This kind of request is not allowed here.',
  'http-query-ok': 'This kind of request is not allowed here.',
  'http-query-unauthorized': 'This kind of request is not allowed here.',
  'cors-request': 'This kind of request is not allowed here.',
  'non-cors-request': 'This kind of request is not allowed here.',
  'source-ip-ok': 'You cannot open it from your network.',
  'source-ip-unauthorized': 'You cannot open it from your network.',
  'date-ok': 'It is closed on this date.',
  'date-unauthorized': 'It is not open on this date.',
  'day-of-week-ok': 'It is closed on this day of the week.',
  'day-of-week-unauthorized': 'It is not open on this day of the week.',
  'time-of-day-ok': 'It is closed at this time of the day.',
  'time-of-day-unauthorized': 'It is not open at this time of the day.',
  'client-certificate-ok': 'A rule blocks your certificate.',
  'client-certificate-unauthorized': 'It opens with certain certificates only, and yours is not one of them.',
  'client-certificate-required': 'It opens with a client certificate only, and your browser did not show one.',
  'invalid-client-certificate': 'The certificate that your browser showed is not valid here.',
  'valid-client-certificate': 'It does not open with a certificate.',
  'origin-unauthorized': 'The request was made by a page of another site.',
  'destination-unauthorized': 'It would be copied or moved to an address that is not of the same application.',
  'websockets-off': 'Live connections are turned off for this application.',
}

/** Sentences for reasons, each once, the general one only when nothing more exact is known. */
export function reasonsInWords(reasons: readonly Reason[]): readonly string[] {
  // Without a verified address, that it is on no list says nothing.
  const unverified = reasons.includes('email-unverified')
  const exact = reasons.filter(
    (reason) =>
      reason !== 'no-rule-matched' &&
      !(unverified && reason !== 'email-unverified' && (reason.startsWith('email-') || reason.startsWith('domain-'))),
  )
  const sentences = (exact.length > 0 ? exact : (['no-rule-matched'] as const)).map((reason) => WORDS[reason])
  return [...new Set(sentences)]
}

/** What a refused person can do about it; the first that fits. */
export function whatToDo(reasons: readonly Reason[], groupsFromSignIn = false): string {
  if (reasons.includes('user-inactive')) return 'Ask your administrator to activate your account.'
  if (reasons.includes('groups-claim-absent')) {
    return 'Sign out and sign in again. If that does not help, tell your administrator that the identity provider does not send your groups, and quote the request number below.'
  }
  if (reasons.includes('email-unverified')) {
    return 'Have your address verified at the identity provider, then sign out and sign in again.'
  }
  if (reasons.includes('groups-unauthorized')) {
    const ask =
      'Ask the owner of the application, or the person who manages your groups, to add you to a group that may open it.'
    return groupsFromSignIn
      ? `${ask} Then sign out and sign in again.`
      : `${ask} A change mostly takes effect within ten seconds. Then try again.`
  }
  if (reasons.some((reason) => reason.startsWith('source-ip'))) {
    return 'Connect to your company network or VPN, then try again.'
  }
  if (reasons.some((reason) => /^(?:date|day-of-week|time-of-day)-/.test(reason))) {
    return 'Come back when it is open. If you need access now, ask the owner of the application.'
  }
  if (reasons.includes('policy-error')) return 'Tell your administrator, and quote the request number below.'
  return 'If you need access, ask the owner of the application. Quote the request number below.'
}
