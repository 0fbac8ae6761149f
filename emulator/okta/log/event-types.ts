/** One row of Okta's event catalogue, as far as the emulator makes or delivers such events (okta-api.md#which-event-tells-what). */
interface EventType {
  readonly text: string
  readonly legacy?: string
  /** May be subscribed to by an event hook; the rest is in the System Log alone. */
  readonly hook: boolean
}

const hook = (text: string, legacy?: string): EventType => ({ text, hook: true, ...(legacy && { legacy }) })
const logOnly = (text: string, legacy?: string): EventType => ({ text, hook: false, ...(legacy && { legacy }) })

export const EVENT_TYPES: Readonly<Record<string, EventType>> = {
  'user.lifecycle.create': hook('Create okta user', 'core.user.config.user_creation.success'),
  'user.lifecycle.activate': hook('Activate Okta user', 'core.user.config.user_activated'),
  'user.lifecycle.deactivate': hook('Deactivate Okta user', 'core.user.config.user_deactivated'),
  'user.lifecycle.suspend': hook('Suspend Okta user', 'core.user.config.user_status.suspended'),
  'user.lifecycle.unsuspend': hook('Unsuspend Okta user', 'core.user.config.user_status.unsuspended'),
  'user.lifecycle.reactivate': hook('Reactivate Okta user'),
  'user.lifecycle.delete.initiated': hook('Delete Okta user initiated'),
  'user.lifecycle.delete.completed': logOnly('Delete Okta user completed'),
  'user.session.start': hook('User login to Okta', 'core.user_auth.login_success'),
  'user.session.end': hook('User logout from Okta', 'core.user_auth.logout_success'),
  'user.session.clear': hook('Clear user session', 'core.user_auth.session_clear'),
  'user.session.context.change': hook('User session context changed'),
  'user.session.expire': logOnly('Expire user session', 'core.user_auth.session_expired'),
  'user.account.lock': hook('Max sign in attempts exceeded', 'core.user_auth.account_locked'),
  'user.account.unlock': hook('Unlock user account', 'core.user_auth.account_unlocked'),
  'user.account.unlock_by_admin': hook('User account unlock by admin'),
  'user.account.update_password': hook('User update password for Okta', 'core.user.config.password_update.success'),
  'user.account.reset_password': hook('User reset password for Okta'),
  'user.account.expire_password': logOnly('User password expired'),
  'user.account.update_profile': hook(
    'Update user profile for Okta',
    'core.user.config.profile_update.success_profile_values',
  ),
  'user.account.privilege.grant': hook('Grant user privilege'),
  'user.account.privilege.revoke': hook('Revoke all user privileges'),
  'user.authentication.sso': hook('User single sign on to app', 'app.auth.sso'),
  'user.authentication.universal_logout': hook('Universal Logout'),
  'user.mfa.factor.activate': hook('Activate factor or authenticator enrollment'),
  'user.mfa.factor.deactivate': hook('Reset factor or authenticator enrollment'),
  'user.mfa.factor.reset_all': hook('Reset all factors for user'),
  'user.risk.change': hook('User risk level changed'),
  'user.risk.detect': hook('User risk detected'),
  'group.user_membership.add': hook('Add user to group membership', 'core.user_group_member.user_add'),
  'group.user_membership.remove': hook('Remove user from group membership', 'core.user_group_member.user_remove'),
  'app.user_management': hook('Imported new or deleted existing member of an application group'),
  'app.user_management.user_group_import.upsert_success': hook('Imported new or updated existing group'),
  'app.user_management.user_group_import.delete_success': logOnly('Deleted an imported group'),
  'group.lifecycle.create': hook('Create Okta group', 'core.user_group.create'),
  'group.lifecycle.delete': hook('Delete Okta group', 'core.user_group.delete'),
  'group.profile.update': hook('Update Okta group', 'core.user_group.update'),
  'group.application_assignment.add': hook('Add app assignment to group', 'core.user_group.app_assign'),
  'group.application_assignment.remove': hook('Remove app assignment from group', 'core.user_group.app_unassign'),
  'group.application_assignment.update': hook('Update app assignment of group'),
  'application.user_membership.add': hook('Add user to application membership', 'app.generic.provision.assign_user'),
  'application.user_membership.remove': hook(
    'Remove user from application membership',
    'app.generic.provision.unassign_user',
  ),
  'application.user_membership.update': hook('Update user to application membership'),
  'application.user_membership.provision': logOnly('Provision user to app'),
  'application.user_membership.deprovision': logOnly('Deprovision user from app'),
  'system.import.group.create': hook('Imported a new group'),
  'system.import.group.delete': hook('Import deleted a group'),
  'system.import.group_membership.complete': logOnly('Group membership import completed'),
  'system.import.membership_processing.complete': logOnly('Processing of imported memberships completed'),
  'system.api_token.create': hook('Create API token', 'api.token.create'),
  'system.api_token.revoke': hook('Revoke API token', 'api.token.revoke'),
  'system.api_token.request_outside_allowed_range': hook('API token used outside of its allowed range'),
  'policy.auth_reevaluate.fail': hook('Session failed the re-evaluation of its policy'),
  'security.breached_credential.detected': hook('Breached credential detected'),
  'event_hook.delivery': logOnly('Event hook delivery'),
}
