import { describe, expect, test } from 'vitest'
import { explainCallbackError } from '../../../src/identity/callback-errors.ts'

describe('explainCallbackError', () => {
  // okta-api.md#oauth-errors, verbatim
  test.each([
    ['access_denied', 'User is not assigned to the client application.', 'not-assigned'],
    [
      'access_denied',
      'Policy evaluation failed for this request, please check the policy configurations.',
      'policy-refused',
    ],
    ['access_denied', 'Policy evaluation succeeded, but all the requested scopes were rejected.', 'scopes-refused'],
    ['access_denied', 'The resource owner or authorization server denied the request.', 'access-denied'],
    ['access_denied', "The request is made from outside the client's permitted network zones.", 'network-zone'],
    ['access_denied', 'User canceled the social login request.', 'cancelled'],
    ['access_denied', 'User status is invalid.', 'account-inactive'],
    ['access_denied', 'Login failed.', 'access-denied'],
    ['access_denied', 'Could not match social profile to an Okta user.', 'account-unmatched'],
    ['login_required', 'The client specified not to prompt, but the user is not logged in.', 'interaction-needed'],
    [
      'login_required',
      'The client specified not to prompt, but the client app requires re-authentication or MFA.',
      'interaction-needed',
    ],
    [
      'login_required',
      "A 'prompt' value of 'none' requires an existing session to successfully authorize.",
      'interaction-needed',
    ],
    ['login_required', 'Request expired, please start over and try again.', 'expired'],
    ['consent_required', 'The following scopes require user consent: [groups].', 'consent-needed'],
    [
      'unmet_authentication_requirements',
      "Unable to meet the authentication requirements imposed by 'acr_values' parameter.",
      'stronger-sign-in',
    ],
    ['invalid_scope', 'One or more scopes are not configured for the authorization server resource.', 'scope-missing'],
    ['invalid_request', 'PKCE code challenge is required by the application.', 'set-up-wrong'],
    ['invalid_request', "The authentication request has an invalid 'state' parameter.", 'set-up-wrong'],
    [
      'server_error',
      'The groups claim matched too many groups and must be configured to match fewer groups.',
      'too-many-groups',
    ],
    ['server_error', "The 'costCenter' user claim could not be evaluated.", 'claim-failed'],
    ['server_error', '', 'provider-failed'],
    [
      'temporarily_unavailable',
      'The authorization server is currently unable to handle the request due to a temporary overloading or maintenance of the server.',
      'provider-busy',
    ],
    ['invalid_grant', 'The authorization code is invalid or has expired.', 'expired'],
    ['invalid_client', 'The client secret supplied for a confidential client is invalid.', 'set-up-wrong'],
    ['unauthorized_client', 'The client is not authorized to use the provided grant type.', 'set-up-wrong'],
    ['something_new', 'whatever', 'unknown'],
    ['__proto__', '', 'unknown'],
  ])('%s, "%s": %s', (error, description, hint) => {
    const explanation = explainCallbackError(error, description)
    expect(explanation.hint).toBe(hint)
    expect(explanation.title).not.toBe('')
    expect(explanation.whatToDo).toMatch(/\.$/)
  })

  test('never repeats what the provider said', () => {
    const { title, whatToDo } = explainCallbackError('access_denied', '<svg onload=alert(1)> network zone')
    expect(title + whatToDo).not.toContain('svg')
  })
})
