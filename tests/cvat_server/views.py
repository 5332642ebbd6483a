"""Records as the API shows them, to a certain user where that makes a difference; a worker is nobody."""

from __future__ import annotations

from typing import Any

from .access import may_see_project, task_staff
from .records import Comment, Issue, Job, Label, Organization, Project, Task, Token, User
from .state import State

View = dict[str, Any]


def basic_user(state: State, host: str, number: int | None) -> View | None:
    if number is None:
        return None
    user = state.users[number]
    return {
        "url": f"{host}/api/users/{user.id}",
        "id": user.id,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
    }


def full_user(state: State, host: str, user: User) -> View:
    return {
        **(basic_user(state, host, user.id) or {}),
        "email": user.email,
        "groups": ["admin" if user.admin else "user"],
        "is_staff": user.admin,
        "is_superuser": user.admin,
        "is_active": True,
        "last_login": user.last_login,
        "date_joined": user.date_joined,
        "has_analytics_access": user.admin,
    }


def token(state: State, host: str, row: Token) -> View:
    return {
        "id": row.id,
        "name": row.name,
        "created_date": row.created,
        "updated_date": row.updated,
        "expiry_date": row.expires,
        "last_used_date": row.last_used,
        "read_only": row.read_only,
        "owner": basic_user(state, host, row.owner),
    }


def organization(state: State, host: str, row: Organization) -> View:
    return {
        "id": row.id,
        "slug": row.slug,
        "name": row.name,
        "description": row.description,
        "created_date": row.created,
        "updated_date": row.updated,
        "contact": {},
        "owner": basic_user(state, host, row.owner),
    }


def label(row: Label) -> View:
    return {
        "id": row.id,
        "name": row.name,
        "color": row.color,
        "attributes": [
            {
                "id": attribute.id,
                "name": attribute.name,
                "mutable": attribute.mutable,
                "input_type": attribute.input_type,
                "default_value": attribute.default,
                "values": attribute.values or [""],
            }
            for attribute in row.attributes
        ],
        "type": row.type,
        "sublabels": [],
        **({"project_id": row.project} if row.project is not None else {"task_id": row.task}),
        "parent_id": None,
        "has_parent": False,
    }


def project(state: State, host: str, row: Project) -> View:
    tasks = [task for task in state.tasks.values() if task.project == row.id]
    filled = [task for task in tasks if task.data is not None and task.data.ready]
    return {
        "url": f"{host}/api/projects/{row.id}",
        "id": row.id,
        "name": row.name,
        "owner": basic_user(state, host, row.owner),
        "assignee": basic_user(state, host, row.assignee),
        "guide_id": None,
        "bug_tracker": row.bug_tracker,
        "created_date": row.created,
        "updated_date": row.updated,
        "status": "annotation",
        "dimension": "2d" if filled else None,
        "organization": row.organization,
        "organization_id": row.organization,
        "target_storage": None,
        "source_storage": None,
        "tasks": {"count": len(tasks), "url": f"{host}/api/tasks?project_id={row.id}"},
        "labels": {"url": f"{host}/api/labels?project_id={row.id}"},
        "assignee_updated_date": row.assignee_updated,
        "task_subsets": sorted({task.subset for task in tasks if task.subset}),
    }


def task_status(state: State, row: Task) -> str:
    statuses = {job_status(job) for job in state.jobs_of(row.id, "annotation")}
    return next((status for status in ("annotation", "validation", "completed") if status in statuses), "annotation")


def task(state: State, host: str, row: Task, viewer: User | None) -> View:
    data = row.data
    project_row = None if row.project is None else state.projects[row.project]
    sees_project = project_row is not None and viewer is not None and may_see_project(state, viewer, project_row)
    jobs = state.jobs_of(row.id)
    ready = data is not None and data.ready
    shown: View = {
        "url": f"{host}/api/tasks/{row.id}",
        "id": row.id,
        "name": row.name,
        "project_id": row.project,
        "project_name": project_row.name if project_row and sees_project else None,
        "owner": basic_user(state, host, row.owner),
        "assignee": basic_user(state, host, row.assignee),
        "bug_tracker": row.bug_tracker,
        "created_date": row.created,
        "updated_date": row.updated,
        "overlap": row.overlap,
        "segment_size": row.segment_size,
        "status": task_status(state, row),
        "guide_id": None,
        "data": data.id if data else None,
        "dimension": "2d" if ready else "",
        "mode": "annotation" if ready else "",
        "media_type": "image" if ready else "",
        "subset": row.subset,
        "organization_id": row.organization,
        "organization": row.organization,
        "target_storage": None,
        "source_storage": None,
        "jobs": {
            "count": len(jobs),
            "completed": sum(accepted(job) for job in jobs),
            "validation": sum(job.stage == "validation" for job in jobs),
            "url": f"{host}/api/jobs?task_id={row.id}",
        },
        "labels": {"url": f"{host}/api/labels?task_id={row.id}"},
        "assignee_updated_date": None,
        "validation_mode": row.validation_mode,
        "consensus_enabled": row.consensus_replicas > 0,
    }
    if data is not None:
        shown |= {"data_cloud_storage_id": None, "size": len(data.frames)}
    if data is not None and ready:
        shown |= {
            "data_chunk_size": data.chunk_size,
            "data_original_chunk_type": "imageset",
            "data_compressed_chunk_type": "imageset",
            "image_quality": data.image_quality,
        }
    return shown


def accepted(job: Job) -> bool:
    return job.stage == "acceptance" and job.state == "completed"


def job_status(job: Job) -> str:
    """What older versions had in place of stage and state."""
    if job.stage == "acceptance":
        return "completed" if job.state == "completed" else "validation"
    return job.stage


def job(state: State, host: str, row: Job, viewer: User | None) -> View:
    task_row = state.tasks[row.task]
    data = task_row.data
    assert data is not None
    project_row = None if task_row.project is None else state.projects[task_row.project]
    sees_project = project_row is not None and viewer is not None and may_see_project(state, viewer, project_row)
    issues = sum(issue.job == row.id for issue in state.issues.values())
    replicas = sum(other.parent == row.id for other in state.jobs_of(row.task))
    return {
        "url": f"{host}/api/jobs/{row.id}",
        "id": row.id,
        "task_id": row.task,
        "task_name": task_row.name if viewer and task_staff(state, viewer, task_row) else None,
        "project_id": task_row.project,
        "project_name": project_row.name if project_row and sees_project else None,
        "assignee": basic_user(state, host, row.assignee),
        "guide_id": None,
        "dimension": "2d",
        "mode": "annotation",
        "media_type": "image",
        "bug_tracker": task_row.bug_tracker,
        "status": job_status(row),
        "stage": row.stage,
        "state": row.state,
        "frame_count": len(row.frames()),
        "start_frame": row.start,
        "stop_frame": row.stop,
        "data_chunk_size": data.chunk_size,
        "data_compressed_chunk_type": "imageset",
        "data_original_chunk_type": "imageset",
        "created_date": row.created,
        "updated_date": row.updated,
        "issues": {"url": f"{host}/api/issues?job_id={row.id}", "count": issues},
        "labels": {"url": f"{host}/api/labels?job_id={row.id}"},
        "type": row.type,
        "organization": task_row.organization,
        "target_storage": None,
        "source_storage": None,
        "assignee_updated_date": row.assignee_updated,
        "parent_job_id": row.parent,
        "replicas_count": replicas,
        "consensus_replicas": replicas,
    }


def issue(state: State, host: str, row: Issue) -> View:
    comments = sum(comment.issue == row.id for comment in state.comments.values())
    return {
        "id": row.id,
        "frame": row.frame,
        "position": row.position,
        "job": row.job,
        "owner": basic_user(state, host, row.owner),
        "assignee": basic_user(state, host, row.assignee),
        "created_date": row.created,
        "updated_date": row.updated,
        "resolved": row.resolved,
        "comments": {"count": comments, "url": f"{host}/api/comments?issue_id={row.id}"},
    }


def comment(state: State, host: str, row: Comment) -> View:
    return {
        "id": row.id,
        "issue": row.issue,
        "owner": basic_user(state, host, row.owner),
        "message": row.message,
        "created_date": row.created,
        "updated_date": row.updated,
    }
