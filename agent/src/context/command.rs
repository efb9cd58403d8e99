//! `ctx` command lines: the language is `waggoner-ctx`'s, the answers to its calls are made here.

use serde_json::{Value, json};
use waggoner_ctx::{Call, Ctx, Outcome, Refusal, Reply, Update, Verdict};
use waggoner_proto::agent::v1 as pb;

use crate::context::{HostApi, Key};

// === impl HostApi ===

impl HostApi {
    /// Evaluates a command line, once those before it are done.
    pub(crate) async fn command(&self, args: &[Value], key: Key) -> Reply {
        let mut ctx = self.ctx.lock().await;
        if let Some(reply) = self.answered(key) {
            return reply;
        }
        let mut outcome = ctx.evaluate(args);
        loop {
            outcome = match outcome {
                Outcome::Reply(reply) => {
                    self.keep(&ctx, key, &reply).await;
                    return reply;
                }
                Outcome::Log { level, message } => {
                    self.log(level, None, message, key).await;
                    return Reply::Result(Value::Null);
                }
                Outcome::Event { message } => {
                    self.event("plugin_event".to_owned(), message, key).await;
                    return Reply::Result(Value::Null);
                }
                Outcome::Ask { call, pending } => {
                    if is_template(&call) {
                        self.set_scene(&mut ctx).await;
                    }
                    let scene = ctx.to_json();
                    let answer = self.answer(call, scene, key).await;
                    ctx.resume(pending, answer)
                }
            }
        }
    }

    /// Loads what a template may look at; what is refused is not to be seen.
    async fn set_scene(&self, ctx: &mut Ctx) {
        let own = [["instance", "runtime_properties"].as_slice(), &["node", "properties"]];
        let relationship = [
            ["source", "instance", "runtime_properties"].as_slice(),
            &["target", "instance", "runtime_properties"],
            &["source", "node", "properties"],
            &["target", "node", "properties"],
        ];
        let is_relationship = self.context().get("related").is_some_and(Value::is_object);
        for args in if is_relationship { relationship.as_slice() } else { own.as_slice() } {
            let args: Vec<_> = args.iter().map(|arg| Value::from(*arg)).collect();
            let mut outcome = ctx.evaluate(&args);
            while let Outcome::Ask { call, pending } = outcome {
                let answer = self.answer(call, Value::Null, Key::fresh()).await;
                outcome = ctx.resume(pending, answer);
            }
        }
    }

    /// Stores what command lines have changed, as Cloudify does at the end of every operation
    /// (`cloudify/dispatch.py`). A conflict takes the place of the operation's own end.
    pub(crate) async fn store_changes(&self) -> Result<(), Refusal> {
        let updates = self.ctx.lock().await.pending_updates();
        for update in updates {
            let key = self.once(&format!("changes of {}", update.instance));
            self.update(to_update(update), key).await.map_err(|refusal| client_error(&refusal))?;
        }
        Ok(())
    }

    /// Says how the operation ends whose script has exited.
    pub(crate) async fn verdict(&self, is_success: bool) -> Verdict {
        self.ctx.lock().await.verdict(is_success)
    }

    async fn answer(&self, call: Call, scene: Value, key: Key) -> Result<Value, Refusal> {
        let answered = match call {
            Call::Node { id, instance } => self.node(id, instance.unwrap_or_default()).await,
            Call::Instance { id } => self.node_instance(id, true).await,
            Call::UpdateInstance(update) => self.update(to_update(update), key).await,
            Call::Tenant => self.get(format!("/tenants/{}", self.tenant()), String::new()).await,
            Call::ProviderContext => self.provider_context().await,
            Call::BootstrapContext => {
                self.provider_context().await.map(|mut context| context["cloudify"].take())
            }
            Call::Config { name, scope } => {
                let query = [("name", name), ("scope", scope)].into_iter();
                let query = query.filter_map(|(key, value)| Some(format!("{key}={}", value?)));
                let query = query.collect::<Vec<_>>().join("&");
                self.get("/config".to_owned(), query).await.map(items)
            }
            Call::Managers { network } => self.of_network("/managers", &network).await,
            Call::Brokers { network } => self.of_network("/brokers", &network).await,
            Call::Execution { id } => self.get(format!("/executions/{id}"), String::new()).await,
            Call::Operation { id } => self.get(format!("/operations/{id}"), String::new()).await,
            Call::UpdateOperation { id, state } => {
                let (method, path) = ("PATCH".to_owned(), format!("/operations/{id}"));
                let body_json = json!({ "state": state }).to_string();
                let query = String::new();
                let request =
                    pb::RestRequest { method, path, query, body_json, ..Default::default() };
                self.successful(request, key).await
            }
            Call::Resource { path, render } => {
                return self.read_resource(path, render, scene).await;
            }
            Call::Download { path, target, render } => {
                return self.download(path, target, render, scene).await;
            }
            Call::DownloadDirectory { path, target } => {
                return self.download_directory(path, target).await;
            }
            Call::UploadDeploymentFile { target, source } => {
                return self.upload_file(&target, &source, key).await;
            }
            Call::DeleteDeploymentFile { path } => return self.delete_file(&path, key).await,
            Call::PluginPrefix => Ok(Value::Null),
            Call::PluginWorkdir => return self.plugin_workdir().map(Value::String),
        };
        answered.map_err(|refusal| client_error(&refusal))
    }

    async fn provider_context(&self) -> Result<Value, pb::Refusal> {
        let mut answer = self.get("/provider/context".to_owned(), String::new()).await?;
        Ok(answer["context"].take())
    }

    async fn of_network(&self, path: &str, network: &str) -> Result<Value, pb::Refusal> {
        let items = items(self.get(path.to_owned(), String::new()).await?);
        let is_in = |item: &Value| item["networks"].get(network).is_some();
        let items = items.as_array().into_iter().flatten().filter(|item| is_in(item));
        Ok(items.cloned().collect())
    }

    fn plugin_workdir(&self) -> Result<String, Refusal> {
        let deployment = self.text("deployment_id");
        let plugin = self.context().get("plugin").and_then(|plugin| plugin["name"].as_str());
        let names = [self.tenant(), deployment, plugin.unwrap_or("script")];
        if names.iter().any(|name| name.contains('/') || *name == "..") {
            return Err(refused("OSError", "a name in the context is no name of a directory"));
        }
        let [tenant, deployment, plugin] = names;
        let path = self.work.join("deployments").join(tenant).join(deployment);
        let path = path.join("plugins").join(plugin);
        fs_err::create_dir_all(&path).map_err(|error| refused("OSError", error.to_string()))?;
        Ok(path.into_string())
    }
}

fn is_template(call: &Call) -> bool {
    matches!(call, Call::Resource { render: Some(_), .. } | Call::Download { render: Some(_), .. })
}

pub(super) fn refused(kind: &str, message: impl Into<String>) -> Refusal {
    Refusal { kind: kind.to_owned(), message: message.into() }
}

/// A refusal as Cloudify's REST client raises it (`cloudify_rest_client/exceptions.py`).
pub(super) fn client_error(refusal: &pb::Refusal) -> Refusal {
    refused("CloudifyClientError", format!("{}: {}", refusal.status, refusal.message))
}

fn items(mut list: Value) -> Value {
    list.get_mut("items").map(Value::take).unwrap_or(list)
}

fn to_update(update: Update) -> pb::UpdateNodeInstance {
    pb::UpdateNodeInstance {
        node_instance_id: update.instance,
        version: update.version,
        runtime_properties_json: Some(Value::Object(update.runtime_properties).to_string()),
        state: update.state,
    }
}
